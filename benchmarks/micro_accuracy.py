"""mAP of a file for microcontrollers with three kinds of kernels, on the test split.

    python benchmarks/micro_accuracy.py detector/bccd_micro_int8.tflite --data data/bccd \
        --json benchmarks/results/micro_accuracy.json

TensorFlow Lite Micro's outputs are those of LiteRT's reference kernels bit for bit, see
compilers.py. These round in another way than the kernels of a phone (XNNPACK) and LiteRT's own
optimised ones. What that costs is measured here, with the reference kernels in TFLite Micro's
place: they give the same numbers and are easier to feed.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click
import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edge_retina.benchmark.environment import read_environment
from edge_retina.datasets import load_dataset
from edge_retina.evaluation.evaluator import evaluate
from edge_retina.files import sha256_file, write_json
from edge_retina.runtime.detections import Detections
from edge_retina.runtime.detector import TFLiteDetector

_KERNELS = {
    "XNNPACK": OpResolverType.AUTO,
    "LiteRT, optimised": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    "LiteRT, reference (= TFLite Micro)": OpResolverType.BUILTIN_REF,
}


class _WithKernels:
    """A detector whose network runs with kernels of one kind; all else is the package's."""

    def __init__(self, path: Path, kernels: OpResolverType) -> None:
        self._detector = TFLiteDetector(path)
        self._interpreter = Interpreter(str(path), experimental_op_resolver_type=kernels)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._outputs = self._detector.output_indices

    @property
    def labels(self) -> tuple[str, ...]:
        return self._detector.labels

    def predict(self, image_rgb: np.ndarray) -> Detections:
        self._interpreter.set_tensor(self._input, self._detector.preprocess(image_rgb))
        self._interpreter.invoke()
        return self._detector.postprocess(
            tuple(self._interpreter.get_tensor(index) for index in self._outputs)
        )


@click.command()
@click.argument("model", type=click.Path(exists=True, path_type=Path))
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--json", "json_path", type=click.Path(path_type=Path), required=True)
def main(model: Path, data: Path, json_path: Path) -> None:
    """Evaluate with each kind of kernels, write."""
    dataset = load_dataset(data, skip_invalid=True)
    examples = dataset.split("test")
    rows: list[dict[str, Any]] = []
    for name, kernels in _KERNELS.items():
        metrics, found = evaluate(_WithKernels(model, kernels), examples, labels=dataset.labels)
        rows.append(
            {
                "kernels": name,
                "mAP": metrics.mAP,
                "mAP50": metrics.mAP50,
                "detections": sum(len(item) for item in found),
            }
        )
        click.echo(rows[-1])
    write_json(
        json_path,
        {
            "schema_version": 1,
            "environment": dataclasses.asdict(read_environment()),
            "model": {"name": model.name, "sha256": sha256_file(model)},
            "images": len(examples),
            "rows": rows,
        },
    )


if __name__ == "__main__":
    main()
