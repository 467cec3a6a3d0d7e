"""Precision and recall by score threshold, the best threshold, and what a score is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from edge_retina.evaluation.assignment import Assignment

_RECALLS = np.linspace(0, 1, 101)  # those at which COCO reads the precision


@dataclass(frozen=True)
class OperatingPoint:
    """What is found with one score threshold, at IoU .5.

    Attributes:
        threshold: detections with at least this score count.
        precision: share of these that are right.
        recall: share of the objects that are found.
        f1: their harmonic mean.
    """

    threshold: float
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class PrecisionRecall:
    """A precision-recall curve at IoU .5.

    Attributes:
        objects: number of objects to find.
        precision: (101,) highest precision at a recall of 0, .01 ... 1 or more; 0 where that recall
            is not reached.
        best: the threshold of the highest F1; None if nothing right was found.
    """

    objects: int
    precision: tuple[float, ...]
    best: OperatingPoint | None

    @property
    def ap50(self) -> float:
        """Average precision: the mean of `precision`."""
        return sum(self.precision) / len(self.precision)

    def to_dict(self) -> dict[str, Any]:
        """Return the curve as it stands in the JSON of `evaluate --errors`."""
        return {
            "objects": self.objects,
            "AP50": self.ap50,
            "precision": list(self.precision),
            "operating_point": self.best and vars(self.best),
        }


@dataclass(frozen=True)
class CalibrationBin:
    """The detections of one range of scores.

    Attributes:
        low, high: of the scores; the upper end belongs to the next bin.
        detections: how many, ignored ones left out.
        score: their mean score; None without any.
        precision: share of them that is right at IoU .5; None without any.
    """

    low: float
    high: float
    detections: int
    score: float | None
    precision: float | None


@dataclass(frozen=True)
class Calibration:
    """Whether a score is the share of right detections among those of that score.

    Attributes:
        bins: equally wide, from score 0 to 1.
        expected_error: mean distance of score and precision over the detections (ECE).
        bias: mean score minus precision; above 0 the detector is too sure.
    """

    bins: tuple[CalibrationBin, ...]
    expected_error: float | None
    bias: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return the calibration as it stands in the JSON of `evaluate --errors`."""
        return {
            "expected_calibration_error": self.expected_error,
            "bias": self.bias,
            "bins": [vars(item) for item in self.bins],
        }


def class_curves(
    assignment: Assignment, labels: Sequence[str]
) -> dict[str, PrecisionRecall | None]:
    """Return the curve of each class; None for a class without objects."""
    wanted = np.bincount(assignment.object_class[~assignment.object_ignored], minlength=len(labels))
    rows = [slice(first, last) for first, last in pairwise(assignment.borders)]
    return {
        label: _curve(assignment, rows[index], int(wanted[index])) if wanted[index] else None
        for index, label in enumerate(labels)
    }


def common_operating_point(assignment: Assignment) -> OperatingPoint | None:
    """Return the threshold of the highest F1 over the detections of all classes together."""
    wanted = int(np.count_nonzero(~assignment.object_ignored))
    return _curve(assignment, slice(None), wanted).best


def calibrate(assignment: Assignment, *, bins: int = 10) -> Calibration:
    """Compare scores with the precision at IoU .5.

    Args:
        assignment: what each detection found; ignored ones are left out.
        bins: number of equally wide ranges of scores.

    Source: Küppers et al. 2020, "Multivariate Confidence Calibration for Object Detection",
    section 3: as Guo et al. 2017 (ICML), with precision in the place of accuracy.
    """
    judged = ~assignment.ignored[0]
    score, right = assignment.score[judged], assignment.right[0, judged]
    number = np.minimum((score * bins).astype(int), bins - 1)
    found = []
    for index in range(bins):
        inside = number == index
        count = int(inside.sum())
        mean = (float(score[inside].mean()), float(right[inside].mean())) if count else (None, None)
        found.append(CalibrationBin(index / bins, (index + 1) / bins, count, *mean))
    if not len(score):
        return Calibration(tuple(found), None, None)
    distances = [
        item.detections * abs(item.score - item.precision)
        for item in found
        if item.score is not None and item.precision is not None
    ]
    return Calibration(
        tuple(found), sum(distances) / len(score), float(score.mean() - right.mean())
    )


def _curve(assignment: Assignment, rows: slice, wanted: int) -> PrecisionRecall:
    """Return the curve of some detections; `wanted` objects are to be found."""
    judged = ~assignment.ignored[0, rows]
    score, right = assignment.score[rows][judged], assignment.right[0, rows][judged]
    order = np.argsort(-score, kind="stable")
    score, found = score[order], np.cumsum(right[order])
    precision, recall = found / np.arange(1, len(found) + 1), found / wanted
    envelope = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    read = envelope[np.searchsorted(recall, _RECALLS)]
    return PrecisionRecall(wanted, tuple(read.tolist()), _best(score, precision, recall))


def _best(score: np.ndarray, precision: np.ndarray, recall: np.ndarray) -> OperatingPoint | None:
    """Return the point of the highest F1, the highest threshold of several.

    A threshold takes all detections of one score or none, so only the last of each is looked at.
    """
    last = np.append(score[1:] < score[:-1], True)[: len(score)]
    total = precision + recall
    f1 = np.divide(2 * precision * recall, total, out=np.zeros(len(score)), where=total > 0)
    f1 = np.where(last, f1, 0.0)
    if not f1.any():
        return None
    place = int(f1.argmax())
    figures = (score, precision, recall, f1)
    return OperatingPoint(*(float(figure[place]) for figure in figures))
