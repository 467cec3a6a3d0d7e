"""`edge_retina.evaluate`."""

from __future__ import annotations

from pathlib import Path

from edge_retina.api.settings import python_errors
from edge_retina.datasets.schema import Dataset
from edge_retina.runtime.foreign_settings import ForeignChoices
from edge_retina.workflow.evaluating import Evaluation, evaluate_model


def evaluate(
    model: str | Path,
    data: str | Path | Dataset,
    *,
    split: str = "test",
    threads: int = 1,
    backend: str = "xnnpack",
    errors: bool = False,
    against: str | Path | None = None,
    skip_invalid: bool = False,
    seed: int = 0,
    foreign: ForeignChoices | None = None,
) -> Evaluation:
    """Measure COCO metrics of a model, with their 95 % intervals, like `edge-retina evaluate`.

    Args:
        model: a .tflite file, an export directory (its int8 file is used), or a run directory.
        data: a data set, or its path.
        split: split to measure on.
        threads: of a .tflite model.
        backend: kernels of a .tflite model: "xnnpack", or "builtin" for LiteRT's own.
        errors: also say where the mAP is lost.
        against: another model with the same classes, to be compared with.
        skip_invalid: leave invalid images and boxes out.
        seed: of the intervals, and of a split by image names.
        foreign: of another framework's file.

    Returns:
        The figures; `to_dict()` is the command's JSON.

    Raises:
        DatasetError: the data set can't be read, or has no such split.
        ModelError, RunError: a model can't be opened, or has other classes.
        EdgeRetinaError: a run directory, and TensorFlow is not installed.
    """
    with python_errors(f"{model}: a run directory"):
        return evaluate_model(
            Path(model),
            data,
            split=split,
            threads=threads,
            backend=backend,
            foreign=foreign,
            errors=errors,
            against=None if against is None else Path(against),
            skip_invalid=skip_invalid,
            seed=seed,
        )
