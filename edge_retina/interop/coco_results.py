"""Detections as COCO results: the objects that pycocotools' `loadRes` and COCO servers take."""

from __future__ import annotations

from typing import Any

from edge_retina.datasets.coco_tree import coco_annotation
from edge_retina.runtime.detections import Detections


def to_coco(
    detections: Detections, image_id: int, image_hw: tuple[int, int]
) -> list[dict[str, Any]]:
    """Return a result for each object, best score first.

    Args:
        detections: of one image.
        image_id: of the image in the annotation file.
        image_hw: its (height, width) in pixels.

    Returns:
        Objects with `image_id`, `category_id` (the class index plus 1, as our COCO files count),
        `bbox` (x, y, width, height in pixels), `area` in square pixels and `score`.
    """
    return [
        {**coco_annotation(image_id, box, label), "score": float(score)}
        for box, label, score in zip(
            detections.boxes_px(image_hw), detections.classes, detections.scores, strict=True
        )
    ]
