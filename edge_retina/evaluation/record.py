"""The JSON document of one evaluation: metrics, and of which model on which data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_retina.datasets.schema import Example, annotations_sha256
from edge_retina.evaluation.coco_metrics import CocoMetrics
from edge_retina.files import sha256_file

# SHA-256 of the file that holds the weights, and the backend: what a model's accuracy depends on
ModelKey = tuple[str, str]


def evaluation_record(
    metrics: CocoMetrics,
    *,
    model_file: Path,
    backend: str,
    data_path: Path,
    split: str,
    examples: Sequence[Example],
) -> dict[str, Any]:
    """Return the document that `edge-retina evaluate --json` writes.

    Args:
        metrics: the result.
        model_file: the file that holds the weights: a .tflite, or a RUN's float weights.
        backend: what ran it: a key of `benchmark.backends.BACKENDS`.
        data_path: DATA as the user gave it.
        split: name of the split.
        examples: the split's images; hashed, so that results on the same data can be recognised.
    """
    return {
        **metrics.to_dict(),
        "model": {"path": str(model_file), "sha256": sha256_file(model_file)},
        "backend": backend,
        "data": {
            "path": str(data_path),
            "split": split,
            "sha256": annotations_sha256(examples),
        },
    }


def recorded_metrics(
    records: Iterable[Mapping[str, Any]], examples: Sequence[Example]
) -> dict[ModelKey, CocoMetrics]:
    """Return the metrics of evaluation records, for `run_benchmark(known_metrics=...)`.

    Args:
        records: as `evaluation_record` returns them, or read from JSON. Those of other data are
            left out, and those written before records named their backend.
        examples: the images that metrics are wanted for.
    """
    wanted = annotations_sha256(examples)
    return {
        (record["model"]["sha256"], record["backend"]): CocoMetrics.from_dict(record)
        for record in records
        if "backend" in record and record["data"]["sha256"] == wanted
    }
