"""Pictures that show what a network gets wrong: labels and detections side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_retina.boxes.iou import pairwise_iou
from edge_retina.datasets.schema import Example
from edge_retina.doctor.run.outputs import Outputs
from edge_retina.evaluation.drawing import draw_detections, draw_ground_truth
from edge_retina.report.disagreements import FOUND_IOU, SHOWN
from edge_retina.report.pictures import Tile, beside, data_uri
from edge_retina.runtime.detections import Detections
from edge_retina.runtime.image import load_image


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
        for _, missed, alarms, number in ranked[:SHOWN]
    ]


def count_errors(example: Example, shown: Detections) -> tuple[int, int]:
    """Return how many objects of a picture are missed, and how many detections are wrong."""
    iou = pairwise_iou(shown.boxes_px(example.image_hw), example.boxes_px)
    same = shown.classes[:, None] == example.classes
    right = np.where(same, iou, 0.0)
    there = ~example.ignored
    missed = int((right.max(axis=0, initial=0)[there] < FOUND_IOU).sum())
    on_ignored = (iou[:, ~there].max(axis=1, initial=0) >= FOUND_IOU) if len(iou) else []
    wrong = right[:, there].max(axis=1, initial=0) < FOUND_IOU
    return missed, int((wrong & ~np.asarray(on_ignored, bool)).sum())


def _tile(
    example: Example, item: Detections, labels: Sequence[str], threshold: float, text: str
) -> Tile:
    image = load_image(example.path)
    pair = (
        draw_ground_truth(image, example, labels),
        draw_detections(image, item, labels, score_threshold=threshold),
    )
    return Tile(data_uri(beside(*pair)), f"{example.image_id}: {text}", example.image_id)
