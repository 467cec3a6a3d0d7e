"""The JSON document of one evaluation: metrics, and of which model on which data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge_retina.datasets.schema import Example, annotations_sha256
from edge_retina.evaluation.coco_metrics import CocoMetrics
from edge_retina.files import sha256_file


def evaluation_record(
    metrics: CocoMetrics,
    *,
    model_file: Path,
    data_path: Path,
    split: str,
    examples: Sequence[Example],
) -> dict[str, Any]:
    """Return the document that `edge-retina evaluate --json` writes.

    Args:
        metrics: the result.
        model_file: the file that holds the weights: a .tflite, or a RUN's float weights.
        data_path: DATA as the user gave it.
        split: name of the split.
        examples: the split's pictures; their labels are hashed, so that two results can be told
            to be of the same data.
    """
    return {
        **metrics.to_dict(),
        "model": {"path": str(model_file), "sha256": sha256_file(model_file)},
        "data": {
            "path": str(data_path),
            "split": split,
            "sha256": annotations_sha256(tuple(examples)),
        },
    }
