"""How far two detectors agree on an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_retina.boxes.iou import pairwise_iou
from edge_retina.runtime.detections import Detections


@dataclass(frozen=True)
class Agreement:
    """How many of one detector's objects another detector finds too.

    Attributes:
        objects: found by the first detector.
        boxes: of these, those with a box of enough overlap.
        classes: of these, those with such a box of the same class.
        scores: of these, those with nearly the same score too.
    """

    objects: int = 0
    boxes: int = 0
    classes: int = 0
    scores: int = 0

    def __add__(self, other: Agreement) -> Agreement:
        """Return the agreement over the images of both."""
        return Agreement(
            self.objects + other.objects,
            self.boxes + other.boxes,
            self.classes + other.classes,
            self.scores + other.scores,
        )

    def share(self, part: str) -> float:
        """Return `part` ("boxes", "classes", "scores") over the objects; 1 if there are none."""
        count: int = getattr(self, part)
        return count / self.objects if self.objects else 1.0


def compare_detections(
    expected: Detections, got: Detections, *, min_iou: float, score_tolerance: float = 1.0
) -> Agreement:
    """Look for each of `expected` in `got`.

    Args:
        expected: the objects to be found.
        got: those to find them in.
        min_iou: the smallest overlap that counts.
        score_tolerance: the largest difference of scores that counts as the same; by default any.
    """
    if not len(expected) or not len(got):
        return Agreement(objects=len(expected))
    overlap = pairwise_iou(expected.boxes_norm, got.boxes_norm) >= min_iou
    same_class = overlap & (expected.classes[:, None] == got.classes[None, :])
    difference = np.abs(expected.scores[:, None] - got.scores[None, :])
    counts = (
        int(pairs.any(axis=1).sum())
        for pairs in (overlap, same_class, same_class & (difference <= score_tolerance))
    )
    return Agreement(len(expected), *counts)
