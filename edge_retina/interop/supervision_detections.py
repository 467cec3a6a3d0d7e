"""Detections as `supervision.Detections`, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_retina.errors import ModelError
from edge_retina.interop.other_package import import_other
from edge_retina.runtime.detections import Detections


def to_supervision(detections: Detections, labels: Sequence[str], image_hw: tuple[int, int]) -> Any:
    """Return a `supervision.Detections`: boxes in pixels, and each object's class name.

    Args:
        detections: of one image.
        labels: class names by index.
        image_hw: (height, width) of the image in pixels.

    Raises:
        EdgeRetinaError: supervision is not installed.
    """
    supervision = import_other("supervision")
    names = np.array([labels[index] for index in detections.classes], dtype=str)
    return supervision.Detections(
        xyxy=detections.boxes_px(image_hw)[:, [1, 0, 3, 2]],
        confidence=detections.scores.copy(),
        class_id=detections.classes.astype(int),
        data={"class_name": names},
    )


def from_supervision(found: Any, labels: Sequence[str], image_hw: tuple[int, int]) -> Detections:
    """Return the objects of a `supervision.Detections`, best score first.

    Args:
        found: with `class_id`; objects without `confidence` get the score 1.
        labels: class names by index.
        image_hw: (height, width) of the image in pixels.

    Raises:
        ModelError: no class indices, or one without a label.
    """
    count = len(found.xyxy)
    if found.class_id is None and count:
        raise ModelError("supervision.Detections: has no class_id; set the index of each class")
    classes = np.zeros(0, np.int32) if found.class_id is None else found.class_id.astype(np.int32)
    if count and not 0 <= classes.min() <= classes.max() < len(labels):
        raise ModelError(
            f"supervision.Detections: class_id {classes.min()}..{classes.max()}, but there are "
            f"{len(labels)} labels ({', '.join(labels)})"
        )
    scores = np.ones(count, np.float32) if found.confidence is None else found.confidence
    height, width = image_hw
    boxes = np.asarray(found.xyxy, np.float32).reshape(-1, 4)[:, [1, 0, 3, 2]]
    order = np.argsort(-scores, kind="stable")
    sides = np.array([height, width, height, width], np.float32)
    return Detections(
        boxes_norm=(boxes / sides)[order],
        classes=classes[order],
        scores=np.asarray(scores, np.float32)[order],
    )
