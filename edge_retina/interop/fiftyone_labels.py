"""Detections as `fiftyone.Detections`, a label of a sample, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_retina.errors import ModelError, choices_hint
from edge_retina.interop.other_package import import_other
from edge_retina.runtime.detections import Detections


def to_fiftyone(detections: Detections, labels: Sequence[str]) -> Any:
    """Return a `fiftyone.Detections`: class name, confidence, and box as fractions of the image.

    Args:
        detections: of one image.
        labels: class names by index.

    Raises:
        EdgeRetinaError: FiftyOne is not installed.
    """
    fiftyone = import_other("fiftyone")
    return fiftyone.Detections(
        detections=[
            fiftyone.Detection(
                label=labels[index],
                bounding_box=[xmin, ymin, xmax - xmin, ymax - ymin],
                confidence=float(score),
            )
            for (ymin, xmin, ymax, xmax), index, score in zip(
                detections.boxes_norm.astype(float).tolist(),
                detections.classes,
                detections.scores,
                strict=True,
            )
        ]
    )


def from_fiftyone(found: Any, labels: Sequence[str]) -> Detections:
    """Return the objects of a `fiftyone.Detections`, best score first.

    Args:
        found: objects without a confidence, such as labelled ones, get the score 1.
        labels: class names by index.

    Raises:
        ModelError: an object of a class that `labels` doesn't have.
    """
    index = {label: number for number, label in enumerate(labels)}
    boxes, classes, scores = [], [], []
    for item in found.detections:
        if item.label not in index:
            raise ModelError(
                f"fiftyone.Detections: class {item.label!r} is not among the labels; "
                f"{choices_hint(str(item.label), labels)}"
            )
        x, y, width, height = item.bounding_box
        boxes.append((y, x, y + height, x + width))
        classes.append(index[item.label])
        scores.append(1.0 if item.confidence is None else item.confidence)
    order = np.argsort(-np.array(scores, np.float32), kind="stable")
    return Detections(
        boxes_norm=np.array(boxes, np.float32).reshape(-1, 4)[order],
        classes=np.array(classes, np.int32)[order],
        scores=np.array(scores, np.float32)[order],
    )
