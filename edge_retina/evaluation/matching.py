"""COCO's matching of detections with objects, of all pictures at once.

pycocotools goes through pictures, classes, sizes and thresholds one by one in Python. Here the n-th
detections of all pictures and classes are matched together, since only those of one picture and
class compete for its objects. The overlaps are pycocotools' own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from pycocotools import mask

THRESHOLDS = np.linspace(0.5, 0.95, 10)
_PICTURES = 1000  # at a time, to bound the memory


@dataclass(frozen=True)
class Boxes:
    """Boxes of some pictures, those of one picture together and in the order of the pictures.

    Attributes:
        picture: (N,) index of the picture.
        label: (N,) class index.
        xywh: (N, 4) float64, xmin ymin width height in pixels of the picture.
    """

    picture: np.ndarray
    label: np.ndarray
    xywh: np.ndarray

    def __len__(self) -> int:
        return len(self.picture)

    @property
    def area(self) -> np.ndarray:
        """(N,) in pixels."""
        return np.asarray(self.xywh[:, 2] * self.xywh[:, 3])

    def take(self, rows: np.ndarray) -> Boxes:
        """Return some of the boxes, in the order of `rows`."""
        return Boxes(self.picture[rows], self.label[rows], self.xywh[rows])


@dataclass(frozen=True)
class Found:
    """What the detections that overlap an object enough have found.

    Attributes:
        rows: (C,) the detections that have an IoU of .5 or more with an object of their class.
        objects: (C, S, T) int32, the object that each found at S size ranges and T thresholds; -1
            for none.
    """

    rows: np.ndarray
    objects: np.ndarray


@dataclass(frozen=True)
class _Pairs:
    """Detections and objects of one picture and class that overlap enough, with their IoU."""

    detection: np.ndarray
    object: np.ndarray
    iou: np.ndarray

    def take(self, rows: np.ndarray | slice) -> _Pairs:
        return _Pairs(self.detection[rows], self.object[rows], self.iou[rows])


def match_boxes(
    detections: Boxes,
    objects: Boxes,
    *,
    pictures: int,
    crowd: np.ndarray,
    reusable: np.ndarray,
    ignored: np.ndarray,
) -> Found:
    """Give each detection the free object of its class that it overlaps most, best score first.

    Objects to be found come before ignored ones, whatever the overlap. Of equal overlaps the last
    object counts, as in `COCOeval.evaluateImg`.

    Args:
        detections: within a picture by class, and within a class by falling score.
        objects: in any order within a picture.
        pictures: how many there are.
        crowd: (N,) bool; overlap with these objects is the detection's share inside of them.
        reusable: (N,) bool; objects that any number of detections may find.
        ignored: (N, S) bool; objects that are not to be found, for each of S size ranges.
    """
    shape = ignored.shape[1], len(THRESHOLDS)
    rows, found = [np.zeros(0, np.int64)], [np.zeros((0, *shape), np.int32)]
    for pairs in _find_pairs(detections, objects, crowd, pictures):
        taken = np.zeros((len(objects), *shape), bool)
        for step in _steps(pairs, detections):
            numbers, chosen = _match_step(step, taken, reusable, ignored)
            rows.append(numbers)
            found.append(chosen)
    return Found(np.concatenate(rows), np.concatenate(found))


def _find_pairs(
    detections: Boxes, objects: Boxes, crowd: np.ndarray, pictures: int
) -> Iterator[_Pairs]:
    """Yield the pairs of `_PICTURES` pictures at a time, by detection."""
    borders = np.arange(pictures + 1)
    first_detection = np.searchsorted(detections.picture, borders)
    first_object = np.searchsorted(objects.picture, borders)
    for start in range(0, pictures, _PICTURES):
        parts = []
        for picture in range(start, min(start + _PICTURES, pictures)):
            ours = slice(*first_detection[picture : picture + 2])
            theirs = slice(*first_object[picture : picture + 2])
            if ours.start == ours.stop or theirs.start == theirs.stop:
                continue
            iou = mask.iou(detections.xywh[ours], objects.xywh[theirs], crowd[theirs])
            same = detections.label[ours, None] == objects.label[theirs]
            row, column = np.nonzero(same & (iou >= THRESHOLDS[0]))
            parts.append((row + ours.start, column + theirs.start, iou[row, column]))
        if parts:
            yield _Pairs(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _steps(pairs: _Pairs, detections: Boxes) -> Iterator[_Pairs]:
    """Yield the pairs of the first detection of every picture and class, of the second, and so on.

    The pairs of one detection stand together, by rising IoU and then in the order of the objects.
    """
    rows, first = np.unique(pairs.detection, return_index=True)
    if not len(rows):
        return
    picture, label = detections.picture[rows], detections.label[rows]
    rank = ranks_within(picture * (label.max() + 1) + label)
    ranks = np.repeat(rank, np.diff(np.append(first, len(pairs.detection))))
    order = np.lexsort((pairs.object, pairs.iou, pairs.detection, ranks))
    borders = np.searchsorted(ranks[order], np.arange(rank.max() + 2))
    for start, stop in pairwise(borders):
        yield pairs.take(order[start:stop])


def _match_step(
    pairs: _Pairs, taken: np.ndarray, reusable: np.ndarray, ignored: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Match detections that do not compete, and note in `taken` (N, S, T) what they took.

    Returns:
        The detections (C,) and the object (C, S, T) of each, -1 for none.
    """
    rows, starts = np.unique(pairs.detection, return_index=True)
    free = ~taken[pairs.object] | reusable[pairs.object, None, None]
    fits = free & (pairs.iou[:, None] >= THRESHOLDS)[:, None, :]
    count = len(pairs.object)
    # The larger the better: objects to be found first, then by IoU, then by their order
    merit = np.arange(count, dtype=np.int32)[:, None] + count * ~ignored[pairs.object]
    best = np.maximum.reduceat(np.where(fits, merit[..., None], -1), starts, axis=0)
    chosen = np.where(best >= 0, pairs.object[best % count], -1).astype(np.int32)
    _, size, threshold = np.nonzero(chosen >= 0)
    taken[chosen[chosen >= 0], size, threshold] = True
    return rows, chosen


def ranks_within(group: np.ndarray) -> np.ndarray:
    """Return the place (N,) of each item among those of its group (N,), which stand together."""
    place = np.arange(len(group))
    new = np.append(True, group[1:] != group[:-1])[: len(group)]
    return np.asarray(place - np.maximum.accumulate(np.where(new, place, 0)))
