"""What a model found on a device; it travels as JSON and keeps every bit."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_retina.runtime.detections import Detections


@dataclass(frozen=True)
class DetectionResult:
    """What a model found on a device.

    Attributes:
        labels: the model's class names.
        detections: of each image, in their order; none if the labels were not those expected.
        device: where it was found, as `--device` names it.
        note: why that is not the device asked for; "" if it is.
    """

    labels: tuple[str, ...]
    detections: tuple[Detections, ...]
    device: str = "local"
    note: str = ""


def pack_detections(labels: Sequence[str], detections: Sequence[Detections]) -> dict[str, Any]:
    """Return what `unpack_detections` reads: every bit is kept, and little is written."""
    count = len(detections)
    return {
        "labels": list(labels),
        "counts": [len(found) for found in detections],
        "boxes_norm": _encode([item.boxes_norm for item in detections], "<f4", count),
        "classes": _encode([item.classes for item in detections], "<i4", count),
        "scores": _encode([item.scores for item in detections], "<f4", count),
    }


def unpack_detections(tree: dict[str, Any]) -> DetectionResult:
    """Return what `pack_detections` made a tree of."""
    ends = np.cumsum(tree["counts"], dtype=np.int64)[:-1]
    boxes = np.split(_decode(tree["boxes_norm"], "<f4").reshape(-1, 4), ends)
    classes = np.split(_decode(tree["classes"], "<i4"), ends)
    scores = np.split(_decode(tree["scores"], "<f4"), ends)
    found = zip(boxes, classes, scores, strict=True) if tree["counts"] else ()
    return DetectionResult(
        labels=tuple(tree["labels"]), detections=tuple(Detections(*item) for item in found)
    )


def _encode(arrays: Sequence[np.ndarray], dtype: str, count: int) -> str:
    whole = np.concatenate(arrays).astype(dtype) if count else np.zeros(0, dtype)
    return base64.b64encode(whole.tobytes()).decode("ascii")


def _decode(text: str, dtype: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype)
