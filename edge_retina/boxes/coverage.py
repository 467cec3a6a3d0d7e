"""How well a set of anchors covers the objects of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_retina.boxes.iou import pairwise_iou


@dataclass(frozen=True)
class AnchorCoverage:
    """What matching will find, measured on real positions, not only on shapes.

    Attributes:
        objects: number of objects looked at.
        best_possible_recall: share of objects with an anchor of IoU >= 0.5.
        recall_at_40: the same at IoU >= 0.4.
        mean_best_iou: mean over objects of the best IoU with any anchor.
        positives_per_object: mean number of anchors with IoU >= 0.5.
    """

    objects: int
    best_possible_recall: float
    recall_at_40: float
    mean_best_iou: float
    positives_per_object: float


def measure_coverage(anchors_px: np.ndarray, boxes_px: Sequence[np.ndarray]) -> AnchorCoverage:
    """Measure `anchors_px` (A, 4) against the boxes (G, 4) of each image, all in input pixels.

    Without any object all figures are 0.
    """
    best, positives = [], []
    for boxes in boxes_px:
        if not len(boxes):
            continue
        iou = pairwise_iou(anchors_px, boxes)
        best.append(iou.max(axis=0))
        positives.append((iou >= 0.5).sum(axis=0))
    if not best:
        return AnchorCoverage(0, 0.0, 0.0, 0.0, 0.0)
    best_iou = np.concatenate(best)
    return AnchorCoverage(
        objects=len(best_iou),
        best_possible_recall=float((best_iou >= 0.5).mean()),
        recall_at_40=float((best_iou >= 0.4).mean()),
        mean_best_iou=float(best_iou.mean()),
        positives_per_object=float(np.concatenate(positives).mean()),
    )
