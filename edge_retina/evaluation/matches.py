"""Which detections of a split are right, picture by picture: the mAP of any resample of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from edge_retina.datasets.schema import Example
from edge_retina.evaluation.assignment import Assignment, assign_detections
from edge_retina.runtime.detections import Detections

_RECALLS = np.linspace(0, 1, 101)  # those at which COCO reads the precision
_CELLS = 200_000  # numbers of an array at a time: bounds the memory, and stays in the cache


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
        precisions = self.average_precision(counts)[0]
        known = precisions[~np.isnan(precisions[:, 0])]
        return float(known.mean()) if len(known) else 0.0

    def average_precision(self, counts: np.ndarray | None = None) -> np.ndarray:
        """Return COCO's AP of every class at every IoU threshold, of several resamples at once.

        Args:
            counts: (B, I) or (I,) integers: how often each picture stands in each of B resamples;
                None for the split as it is.

        Returns:
            (B, K, T); NaN for a class without an object to find in that resample.
        """
        if counts is None:
            counts = np.ones((1, len(self.objects)))
        counts = np.atleast_2d(np.asarray(counts, np.float64))
        wanted = counts @ self.objects
        found = np.full((*wanted.shape, len(self.right)), np.nan)
        for index, rows in enumerate(self._classes):
            step = max(1, _CELLS // max(rows.cells, 1))
            for start in range(0, len(counts), step):
                chosen = slice(start, start + step)
                found[chosen, index] = rows.precision(counts[chosen], wanted[chosen, index])
        return found

    @cached_property
    def resamples(self) -> dict[tuple[int, int], np.ndarray]:
        """What `intervals` computed of resamples, by their number and seed, to do it only once."""
        return {}

    @cached_property
    def _classes(self) -> list[_ClassRows]:
        rows = (slice(first, last) for first, last in pairwise(self.borders))
        return [
            _ClassRows.of(self.picture[part], self.right[:, part], self.wrong[:, part])
            for part in rows
        ]


@dataclass(frozen=True)
class _ClassRows:
    """One class's detections, reduced to what its AP depends on.

    The envelope of the precision has its corners where a detection is right at some threshold, so
    only those places are looked at: few, where most detections are false alarms of a low score.

    Attributes:
        picture: (D,) of each detection.
        places: (P,) the detections that are right at any threshold.
        right: (T, P) bool.
        ignored: (E,) the detections that are ignored at any threshold.
        is_ignored: (T, E) bool.
        ignored_before: (P,) how many of `ignored` stand up to each place.
    """

    picture: np.ndarray
    places: np.ndarray
    right: np.ndarray
    ignored: np.ndarray
    is_ignored: np.ndarray
    ignored_before: np.ndarray

    @classmethod
    def of(cls, picture: np.ndarray, right: np.ndarray, wrong: np.ndarray) -> _ClassRows:
        """Return the rows of detections (D,) that are right or wrong (T, D)."""
        neither = ~right & ~wrong
        places, ignored = (np.flatnonzero(flags.any(axis=0)) for flags in (right, neither))
        before = np.searchsorted(ignored, places, side="right")
        return cls(picture, places, right[:, places], ignored, neither[:, ignored], before)

    @property
    def cells(self) -> int:
        """Numbers that one resample takes."""
        return len(self.picture) + self.right.size + self.is_ignored.size

    def precision(self, counts: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """Return the AP (B, T) as `COCOeval.accumulate` computes it, NaN where `wanted` is 0.

        Args:
            counts: (B, I) how often each picture stands.
            wanted: (B,) how many objects there are to find.
        """
        known = wanted > 0
        each = counts[known][:, self.picture]
        right = np.cumsum(each[:, None, self.places] * self.right, axis=2)
        skipped = np.cumsum(each[:, None, self.ignored] * self.is_ignored, axis=2)
        skipped = np.pad(skipped, ((0, 0), (0, 0), (1, 0)))[..., self.ignored_before]
        judged = np.cumsum(each, axis=1)[:, None, self.places] - skipped  # right and wrong ones
        precision = right / (judged + np.spacing(1))
        precision = np.maximum.accumulate(precision[..., ::-1], axis=2)[..., ::-1]
        # How many of the recalls are first reached at each place
        new = np.diff(_reached(right, wanted[known]), axis=2, prepend=0)
        result = np.full((len(counts), len(self.right)), np.nan)
        result[known] = (precision * new).sum(axis=2) / len(_RECALLS)
        return result


def _reached(right: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return how many of COCO's recalls are reached by `right` objects (B, T, P) of `wanted` (B,).

    Looked up, because a search for each number would take most of a bootstrap's time.
    """
    length = int(wanted.max(initial=0)) + 1
    shares = np.arange(length) / wanted[:, None]
    table = np.searchsorted(_RECALLS, shares, side="right")
    rows = np.arange(len(wanted))[:, None, None] * length
    return np.asarray(table.ravel()[right.astype(np.int64) + rows])


def find_matches(
    examples: Sequence[Example], detections: Sequence[Detections], labels: Sequence[str]
) -> Matches:
    """Match the detections of each picture, in the order of `examples`, with its objects."""
    return select_matches(assign_detections(examples, detections, labels))


def select_matches(
    assignment: Assignment,
    *,
    objects: np.ndarray | None = None,
    false_alarms: np.ndarray | None = None,
) -> Matches:
    """Return what is right and wrong, of all objects or of some.

    Detections that found another object are neither right nor wrong then, as in COCO's metrics by
    area.

    Args:
        assignment: what each detection found.
        objects: (N,) bool, those to be found; None for all. Ignored ones never are.
        false_alarms: bool by detection number: which count as wrong where they find nothing; None
            for all.
    """
    wanted = ~assignment.object_ignored
    right, wrong = assignment.right, assignment.wrong
    if objects is not None:
        wanted = wanted & objects
        right = right & np.append(wanted, False)[assignment.matched]  # -1: the one at the end
    if false_alarms is not None:
        wrong = wrong & false_alarms[assignment.detection]
    counts = np.zeros((assignment.pictures, len(assignment.borders) - 1), np.int32)
    places = assignment.object_picture[wanted], assignment.object_class[wanted]
    np.add.at(counts, places, 1)
    return Matches(assignment.picture, assignment.borders, right, wrong, counts)
