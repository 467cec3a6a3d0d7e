"""Which detections of a split are right, picture by picture: the mAP of any resample of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from edge_retina.datasets.schema import Example
from edge_retina.evaluation.coco_metrics import match_detections
from edge_retina.runtime.detections import Detections

_RECALLS = np.linspace(0, 1, 101)  # those at which COCO reads the precision


@dataclass(frozen=True)
class Matches:
    """The matched detections of I pictures, K classes and T = 10 IoU thresholds (.50:.05:.95).

    Detections stand by class and, within a class, by falling score. One that is neither right nor
    wrong lies in a crowd region.

    Attributes:
        picture: (D,) index of the picture of each detection.
        borders: (K + 1,) class k has the detections borders[k] .. borders[k + 1].
        right: (T, D) bool.
        wrong: (T, D) bool.
        objects: (I, K) how many objects there are to find.
    """

    picture: np.ndarray
    borders: np.ndarray
    right: np.ndarray
    wrong: np.ndarray
    objects: np.ndarray

    def mAP(self, counts: np.ndarray | None = None) -> float:
        """Return COCO's mAP of a split in which picture i stands `counts[i]` times.

        Args:
            counts: (I,) integers; None for the split as it is.

        Returns:
            The mean over the classes that have an object to find; 0 if no class has.
        """
        weights = np.ones(len(self.objects)) if counts is None else np.asarray(counts, np.float64)
        wanted = weights @ self.objects
        precisions = [
            self._average_precision(slice(first, last), weights, total)
            for (first, last), total in zip(pairwise(self.borders), wanted, strict=True)
            if total > 0
        ]
        return float(np.mean(precisions)) if precisions else 0.0

    def _average_precision(self, rows: slice, weights: np.ndarray, wanted: float) -> float:
        """Return one class's AP, the mean over the thresholds, as `COCOeval.accumulate` does it."""
        each = weights[self.picture[rows]]
        right = np.cumsum(self.right[:, rows] * each, axis=1)
        wrong = np.cumsum(self.wrong[:, rows] * each, axis=1)
        recall = right / wanted
        precision = right / (right + wrong + np.spacing(1))
        precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        precision = np.pad(precision, ((0, 0), (0, 1)))  # 0 at a recall that is not reached
        places = [np.searchsorted(row, _RECALLS, side="left") for row in recall]
        return float(np.mean(np.take_along_axis(precision, np.array(places), axis=1)))


def find_matches(
    examples: Sequence[Example], detections: Sequence[Detections], labels: Sequence[str]
) -> Matches:
    """Match the detections of each picture, in the order of `examples`, with its objects."""
    evaluation = match_detections(examples, detections, labels, by_size=False)
    table = np.array(evaluation.evalImgs, dtype=object).reshape(len(labels), len(examples))
    thresholds = len(evaluation.params.iouThrs)
    objects = np.zeros((len(examples), len(labels)), np.int32)
    pictures, right, wrong = [], [], []
    for label, row in enumerate(table):
        entries = [(picture, item) for picture, item in enumerate(row) if item is not None]
        for picture, item in entries:
            objects[picture, label] = np.count_nonzero(np.asarray(item["gtIgnore"]) == 0)
        scores = np.concatenate([[], *(item["dtScores"] for _, item in entries)])
        order = np.argsort(-scores, kind="mergesort")  # as COCOeval does: ties stay in order
        pictures.append(np.repeat(*_counts(entries))[order])
        matched = _join([item["dtMatches"] for _, item in entries], thresholds)[:, order] > 0
        ignored = _join([item["dtIgnore"] for _, item in entries], thresholds)[:, order] > 0
        right.append(matched & ~ignored)
        wrong.append(~matched & ~ignored)
    return Matches(
        picture=np.concatenate(pictures),
        borders=np.cumsum([0, *map(len, pictures)]),
        right=np.concatenate(right, axis=1),
        wrong=np.concatenate(wrong, axis=1),
        objects=objects,
    )


def _counts(entries: list) -> tuple[np.ndarray, np.ndarray]:
    """Return the pictures and how many detections each has."""
    pictures = np.array([picture for picture, _ in entries], np.int32)
    return pictures, np.array([len(item["dtScores"]) for _, item in entries], np.int32)


def _join(parts: list[np.ndarray], thresholds: int) -> np.ndarray:
    return np.concatenate([np.zeros((thresholds, 0)), *parts], axis=1)
