"""Pictures on which two models find different objects, such as float and int8."""

from __future__ import annotations

from collections.abc import Sequence

from edge_retina.boxes.iou import pairwise_iou
from edge_retina.datasets.schema import Example
from edge_retina.evaluation.assignment import assign_detections
from edge_retina.evaluation.drawing import draw_detections
from edge_retina.evaluation.errors.curves import common_operating_point
from edge_retina.report.pictures import Tile, beside, data_uri
from edge_retina.runtime.detections import Detections
from edge_retina.runtime.image import load_image

FOUND_IOU = 0.5
SHOWN = 6
_DEFAULT_THRESHOLD = 0.3


def best_threshold(
    examples: Sequence[Example], detections: Sequence[Detections], labels: Sequence[str]
) -> float:
    """Return the score threshold of the highest F1 over all classes."""
    point = common_operating_point(assign_detections(examples, detections, labels))
    return point.threshold if point else _DEFAULT_THRESHOLD


def disagreements(
    examples: Sequence[Example],
    one: Sequence[Detections],
    other: Sequence[Detections],
    labels: Sequence[str],
    *,
    threshold: float,
    shown: int = SHOWN,
) -> list[Tile]:
    """Return the pictures on which two models differ most, the first left and the other right.

    Args:
        examples: the pictures.
        one: detections of the first model in each of them.
        other: detections of the other model.
        labels: class names by index.
        threshold: detections below it aren't compared.
        shown: how many pictures at most.
    """
    counts = [
        count_lone(left.above(threshold), right.above(threshold))
        for left, right in zip(one, other, strict=True)
    ]
    ranked = sorted((-lone, number) for number, lone in enumerate(counts) if lone)
    tiles = []
    for lone, number in ranked[:shown]:
        example = examples[number]
        image = load_image(example.path)
        pair = [
            draw_detections(image, item[number], labels, score_threshold=threshold)
            for item in (one, other)
        ]
        caption = f"{example.image_id}: {-lone} only in one of the two"
        tiles.append(Tile(data_uri(beside(*pair)), caption, example.image_id))
    return tiles


def count_lone(one: Detections, other: Detections) -> int:
    """Return how many objects only one of two models found in a picture."""
    iou = pairwise_iou(one.boxes_norm, other.boxes_norm)
    iou *= one.classes[:, None] == other.classes
    return sum(int((iou.max(axis=axis, initial=0) < FOUND_IOU).sum()) for axis in (0, 1))
