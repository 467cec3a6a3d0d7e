"""Labelled images as a COCO tree: the content of a COCO file, and what pycocotools evaluates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from edge_retina.datasets.schema import Example

CocoTree = dict[str, list[dict[str, Any]]]


def coco_tree(examples: Sequence[Example], labels: Sequence[str]) -> CocoTree:
    """Return the tree of labelled images, with coordinates as they are.

    All ids count from 1: the example's position, the annotation's position, and the class index
    plus 1. pycocotools takes an object of id 0 for "not matched".
    """
    return with_annotations(examples, labels, truth_annotations(examples))


def with_annotations(
    examples: Sequence[Example], labels: Sequence[str], annotations: Iterable[dict[str, Any]]
) -> CocoTree:
    """Return the tree of images with any annotations, the labelled ones or detections."""
    images = [
        {
            "id": number,
            "file_name": example.image_id,
            "height": example.image_hw[0],
            "width": example.image_hw[1],
        }
        for number, example in enumerate(examples, 1)
    ]
    return {
        "images": images,
        "annotations": [{"id": number, **item} for number, item in enumerate(annotations, 1)],
        "categories": [{"id": number, "name": label} for number, label in enumerate(labels, 1)],
    }


def truth_annotations(examples: Sequence[Example]) -> list[dict[str, Any]]:
    """Return the labelled objects; difficult ones have `ignore`, as some tools write it."""
    return [
        {
            **coco_annotation(number, box, label),
            "iscrowd": int(crowd),
            **({"ignore": 1} if difficult else {}),
        }
        for number, example in enumerate(examples, 1)
        for box, label, crowd, difficult in zip(
            example.boxes_px, example.classes, example.crowd, example.difficult, strict=True
        )
    ]


def coco_annotation(image_id: int, box_px: np.ndarray, label: int) -> dict[str, Any]:
    """Return an annotation without its own id.

    Args:
        image_id: of the image, from 1.
        box_px: (4,) ymin xmin ymax xmax in pixels.
        label: class index, from 0.
    """
    ymin, xmin, ymax, xmax = (float(side) for side in box_px)
    width, height = xmax - xmin, ymax - ymin
    return {
        "image_id": image_id,
        "category_id": int(label) + 1,
        "bbox": [xmin, ymin, width, height],
        "area": width * height,
    }
