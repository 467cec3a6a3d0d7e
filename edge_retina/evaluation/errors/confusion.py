"""Which class is taken for which, and what is missed or made up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_retina.boxes.iou import pairwise_iou
from edge_retina.datasets.schema import Example
from edge_retina.evaluation.errors.tide import is_ignored
from edge_retina.runtime.detections import Detections

BACKGROUND = "background"
_POSITIVE_IOU = 0.5


@dataclass(frozen=True)
class Mistake:
    """One kind of confusion.

    Attributes:
        labelled: class of the objects, or `BACKGROUND`.
        detected: class of the detections, or `BACKGROUND` for missed objects.
        count: how many.
        share: of the objects of the class; of the detections of the class for false alarms.
    """

    labelled: str
    detected: str
    count: int
    share: float


@dataclass(frozen=True)
class Confusion:
    """A confusion matrix at one score threshold and an IoU of .5.

    Attributes:
        labels: class names; the last row and column stand for `BACKGROUND`.
        threshold: of the scores.
        counts: (K + 1, K + 1) rows: labelled class, columns: detected class.
    """

    labels: tuple[str, ...]
    threshold: float
    counts: np.ndarray

    @property
    def names(self) -> tuple[str, ...]:
        """Names of rows and columns."""
        return (*self.labels, BACKGROUND)

    def to_dict(self) -> dict[str, Any]:
        """Return the matrix as it stands in the JSON of `evaluate --errors`."""
        return {
            "threshold": self.threshold,
            "iou": _POSITIVE_IOU,
            "labels": list(self.names),
            "counts": self.counts.tolist(),
        }

    def worst(self, limit: int) -> list[Mistake]:
        """Return the most frequent mistakes, most frequent first."""
        objects, found = self.counts.sum(axis=1), self.counts.sum(axis=0)
        last = len(self.labels)
        mistakes = [
            Mistake(
                self.names[row],
                self.names[column],
                int(self.counts[row, column]),
                float(self.counts[row, column] / (found[column] if row == last else objects[row])),
            )
            for row, column in np.argwhere(self.counts)
            if row != column
        ]
        return sorted(mistakes, key=lambda item: -item.count)[:limit]


def confusion(
    examples: Sequence[Example],
    detections: Sequence[Detections],
    labels: Sequence[str],
    *,
    threshold: float,
) -> Confusion:
    """Return the confusion matrix of a split.

    First each detection, best score first, gets the object of its own class that it overlaps most.
    Then those left over get the objects left over, of any class, highest IoU first. What still has
    no partner is a false alarm or a missed object. Crowd regions and difficult objects count as in
    the COCO metrics: they are not to be found, and detections of their class in them are left out.

    Args:
        examples: the labelled pictures.
        detections: of each picture, in the same order.
        labels: class names by index.
        threshold: detections with at least this score count.
    """
    background = len(labels)
    counts = np.zeros((background + 1, background + 1), np.int64)
    for example, item in zip(examples, detections, strict=True):
        shown = item.above(threshold)
        there = ~example.ignored
        labelled = example.classes[there]
        boxes = shown.boxes_px(example.image_hw).astype(np.float64)
        iou = pairwise_iou(boxes, example.boxes_px[there].astype(np.float64))
        partner = _pair(iou, shown.classes[:, None] == labelled)
        paired = partner >= 0
        np.add.at(counts, (labelled[partner[paired]], shown.classes[paired]), 1)
        made_up = ~paired & ~is_ignored(boxes, shown.classes, example)
        np.add.at(counts[background], shown.classes[made_up], 1)
        missed = np.delete(labelled, partner[paired])
        np.add.at(counts[:, background], missed, 1)
    return Confusion(tuple(labels), threshold, counts)


def _pair(iou: np.ndarray, same: np.ndarray) -> np.ndarray:
    """Return the object of each detection (D,), -1 for none.

    Args:
        iou: (D, N), best score first.
        same: (D, N) bool, of the same class.
    """
    partner = np.full(len(iou), -1)
    left = np.where(iou >= _POSITIVE_IOU, iou, 0.0)
    own = left * same
    for row in np.flatnonzero(own.any(axis=1)):
        column = int(own[row].argmax())
        if own[row, column]:
            partner[row] = column
            own[:, column] = left[:, column] = 0
    left[partner >= 0] = 0
    while left.any():
        row, column = divmod(int(left.argmax()), left.shape[1])
        partner[row] = column
        left[row] = left[:, column] = 0
    return partner
