"""Quantisation of a trained RUN, again or for the first time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_retina.int8.pinned import write_pinned
from edge_retina.int8.selection import CalibrationSet
from edge_retina.run_directory import RunDirectory
from edge_retina.workflow.prepare import open_run
from edge_retina.workflow.run_lock import lock_run
from edge_retina.workflow.stages import STAGES


@dataclass(frozen=True)
class QuantizedModel:
    """An int8-ready model of a RUN.

    Attributes:
        directory: its weights and activation ranges.
        method: "ptq" or "qat".
        steps: of its training; 0 by calibration alone.
        calibration: which images the ranges were measured on.
    """

    directory: Path
    method: str
    steps: int
    calibration: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return the document that `edge-retina quantize --json` writes."""
        return {"method": self.method, "steps": self.steps, "calibration": self.calibration}


def quantize_model(
    run: RunDirectory,
    *,
    method: str | None = None,
    overrides: Sequence[str] = (),
    pin: Path | None = None,
) -> QuantizedModel:
    """Make the trained model of a RUN int8-ready.

    Args:
        run: trained.
        method: "qat" with training, "ptq" by calibration alone; None for that of the config.
        overrides: of fields that a trained model doesn't depend on.
        pin: file for the list of calibration images; None for none.

    Raises:
        RunError: not trained, or another process writes it.
        ConfigError: an override that is not allowed, or a recipe that doesn't go with the method.
    """
    context = open_run(run, overrides=overrides)
    method = method or context.config.quantize.method
    context.recipe.check_method(method)
    with lock_run(run):
        STAGES.redo(f"quantize-{method}", context)
    from edge_retina.quantization.state import load_record  # imports TensorFlow

    record = load_record(run, method)
    if pin is not None:
        write_pinned(
            pin,
            CalibrationSet(**record.calibration),
            dataset=context.config.name,
            split=context.config.data.train_split,
        )
    return QuantizedModel(run.quantized_dir(method), method, record.steps, record.calibration)
