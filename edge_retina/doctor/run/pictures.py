"""Pictures that show what a network gets wrong: labels and detections side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_retina.boxes.iou import pairwise_iou
from edge_retina.datasets.schema import Example
from edge_retina.doctor.run.outputs import Outputs
from edge_retina.evaluation.assignment import assign_detections
from edge_retina.evaluation.drawing import draw_detections, draw_ground_truth
from edge_retina.evaluation.errors.curves import common_operating_point
from edge_retina.report.pictures import Tile, data_uri
from edge_retina.runtime.detections import Detections
from edge_retina.runtime.image import load_image

_SHOWN = 6
_FOUND_IOU = 0.5
_GAP_PX = 6
_DEFAULT_THRESHOLD = 0.3


def score_threshold(outputs: Outputs) -> float:
    """Return the threshold of the highest F1 over all classes."""
    point = common_operating_point(
        assign_detections(outputs.examples, outputs.detections, outputs.labels)
    )
    return point.threshold if point else _DEFAULT_THRESHOLD


def worst_images(outputs: Outputs, *, threshold: float) -> list[Tile]:
    """Return the pictures with most errors, labels left and detections right, worst first."""
    ranked = []
    for number, (example, item) in enumerate(
        zip(outputs.examples, outputs.detections, strict=True)
    ):
        missed, alarms = count_errors(example, item.above(threshold))
        if missed + alarms:
            ranked.append((missed + alarms, missed, alarms, number))
    ranked.sort(key=lambda row: (-row[0], row[3]))
    return [
        _tile(
            outputs.examples[number],
            outputs.detections[number],
            outputs.labels,
            threshold,
            f"{missed} missed, {alarms} false alarms",
        )
        for _, missed, alarms, number in ranked[:_SHOWN]
    ]


def disagreements(
    outputs: Outputs, others: Sequence[Detections], *, threshold: float
) -> list[Tile]:
    """Return the pictures on which two models differ most, the first left and the other right.

    Args:
        outputs: of the first model.
        others: detections of the other model on the same pictures.
        threshold: detections below it aren't compared.
    """
    ranked = []
    for number, (one, other) in enumerate(zip(outputs.detections, others, strict=True)):
        first, second = one.above(threshold), other.above(threshold)
        iou = pairwise_iou(first.boxes_norm, second.boxes_norm)
        iou *= first.classes[:, None] == second.classes
        lone = int((iou.max(axis=1, initial=0) < _FOUND_IOU).sum())
        lone += int((iou.max(axis=0, initial=0) < _FOUND_IOU).sum())
        if lone:
            ranked.append((lone, number))
    ranked.sort(key=lambda row: (-row[0], row[1]))
    tiles = []
    for lone, number in ranked[:_SHOWN]:
        example = outputs.examples[number]
        image = load_image(example.path)
        pair = [
            draw_detections(image, item, outputs.labels, score_threshold=threshold)
            for item in (outputs.detections[number], others[number])
        ]
        caption = f"{example.image_id}: {lone} only in one of the two"
        tiles.append(Tile(data_uri(_beside(*pair)), caption, example.image_id))
    return tiles


def count_errors(example: Example, shown: Detections) -> tuple[int, int]:
    """Return how many objects of a picture are missed, and how many detections are wrong."""
    iou = pairwise_iou(shown.boxes_px(example.image_hw), example.boxes_px)
    same = shown.classes[:, None] == example.classes
    right = np.where(same, iou, 0.0)
    there = ~example.ignored
    missed = int((right.max(axis=0, initial=0)[there] < _FOUND_IOU).sum())
    on_ignored = (iou[:, ~there].max(axis=1, initial=0) >= _FOUND_IOU) if len(iou) else []
    wrong = right[:, there].max(axis=1, initial=0) < _FOUND_IOU
    return missed, int((wrong & ~np.asarray(on_ignored, bool)).sum())


def _tile(
    example: Example, item: Detections, labels: Sequence[str], threshold: float, text: str
) -> Tile:
    image = load_image(example.path)
    pair = (
        draw_ground_truth(image, example, labels),
        draw_detections(image, item, labels, score_threshold=threshold),
    )
    return Tile(data_uri(_beside(*pair)), f"{example.image_id}: {text}", example.image_id)


def _beside(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    gap = np.full((left.shape[0], _GAP_PX, 3), 255, np.uint8)
    return np.concatenate([left, gap, right], axis=1)
