"""Which object each detection of a split found: COCO's matching, kept for any later question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_retina.datasets.schema import Example
from edge_retina.evaluation.coco_metrics import match_detections
from edge_retina.runtime.detections import Detections


@dataclass(frozen=True)
class Assignment:
    """The detections of I pictures and the objects they found, at T IoU thresholds (.50:.05:.95).

    Detections stand by class and, within a class, by falling score. Objects are numbered through
    all pictures in their order, and so are detections. COCO's limit of 100 detections for each
    picture and class applies; those beyond are left out.

    Attributes:
        detection: (D,) number of each detection.
        picture: (D,) its picture.
        score: (D,) its score.
        borders: (K + 1,) class k has the detections borders[k] .. borders[k + 1].
        matched: (T, D) number of the object that it found; -1 if none.
        ignored: (T, D) bool; it lies in a crowd region or on a difficult object, and is neither
            right nor wrong.
        object_picture: (N,) picture of each object, crowds and difficult ones included.
        object_class: (N,) its class.
        object_ignored: (N,) bool; crowds and difficult objects.
        pictures: I.
    """

    detection: np.ndarray
    picture: np.ndarray
    score: np.ndarray
    borders: np.ndarray
    matched: np.ndarray
    ignored: np.ndarray
    object_picture: np.ndarray
    object_class: np.ndarray
    object_ignored: np.ndarray
    pictures: int

    @property
    def right(self) -> np.ndarray:
        """(T, D) bool; it found an object."""
        return (self.matched >= 0) & ~self.ignored

    @property
    def wrong(self) -> np.ndarray:
        """(T, D) bool; it is a false alarm."""
        return (self.matched < 0) & ~self.ignored

    @property
    def label(self) -> np.ndarray:
        """(D,) class of each detection."""
        return np.repeat(np.arange(len(self.borders) - 1), np.diff(self.borders))


def assign_detections(
    examples: Sequence[Example], detections: Sequence[Detections], labels: Sequence[str]
) -> Assignment:
    """Match the detections of each picture, in the order of `examples`, with its objects."""
    evaluation = match_detections(examples, detections, labels, by_size=False)
    table = np.array(evaluation.evalImgs, dtype=object).reshape(len(labels), len(examples))
    thresholds = len(evaluation.params.iouThrs)
    by_class = [_one_class(row, thresholds) for row in table]
    numbers, pictures, scores, matched, ignored = zip(*by_class, strict=True)
    sizes = [len(example.classes) for example in examples]
    return Assignment(
        detection=np.concatenate(numbers),
        picture=np.concatenate(pictures),
        score=np.concatenate(scores),
        borders=np.cumsum([0, *map(len, numbers)]),
        matched=np.concatenate(matched, axis=1),
        ignored=np.concatenate(ignored, axis=1),
        object_picture=np.repeat(np.arange(len(examples)), sizes),
        object_class=_joined([example.classes for example in examples], np.int64),
        object_ignored=_joined([example.ignored for example in examples], bool),
        pictures=len(examples),
    )


def _one_class(row: np.ndarray, thresholds: int) -> tuple[np.ndarray, ...]:
    """Return detection numbers, pictures, scores, matched objects and ignored flags of a class."""
    entries = [(picture, item) for picture, item in enumerate(row) if item is not None]
    scores = _joined([item["dtScores"] for _, item in entries], np.float64)
    order = np.argsort(-scores, kind="mergesort")  # as COCOeval does: ties stay in order
    numbers = _joined([item["dtIds"] for _, item in entries], np.int64) - 1  # ids count from 1
    counts = [len(item["dtIds"]) for _, item in entries]
    pictures = np.repeat(np.array([picture for picture, _ in entries], np.int64), counts)
    nothing = np.zeros((thresholds, 0))
    matched = np.concatenate([nothing, *(item["dtMatches"] for _, item in entries)], axis=1)
    ignored = np.concatenate([nothing, *(item["dtIgnore"] for _, item in entries)], axis=1)
    return (
        numbers[order],
        pictures[order],
        scores[order],
        matched[:, order].astype(np.int64) - 1,
        ignored[:, order] > 0,
    )


def _joined(parts: Sequence[np.ndarray], dtype: type) -> np.ndarray:
    return np.concatenate([np.zeros(0, dtype), *parts]).astype(dtype)
