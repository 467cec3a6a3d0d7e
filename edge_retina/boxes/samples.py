"""Boxes that anchors are fitted to, and boxes kept apart to measure them on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class BoxSample:
    """Boxes to fit anchors to; the same object may be among them several times, each time changed.

    Attributes:
        boxes_px: (N, 4) yxyx in pixels of the network input.
        objects: the number of different objects they are of.
    """

    boxes_px: np.ndarray
    objects: int

    @classmethod
    def of(cls, boxes_px: np.ndarray) -> BoxSample:
        """Return boxes (N, 4) each of which is an object of its own."""
        return cls(boxes_px, len(boxes_px))

    @property
    def per_object(self) -> float:
        """How often an object is among the boxes, on average."""
        return len(self.boxes_px) / self.objects if self.objects else 1.0

    def at_most(self, count: int, *, seed: int) -> BoxSample:
        """Return the same, or a random part of `count` boxes if there are more."""
        if len(self.boxes_px) <= count:
            return self
        chosen = np.random.default_rng(seed).choice(self.boxes_px, count, replace=False)
        return BoxSample(chosen, self.objects)


@dataclass(frozen=True)
class Fold:
    """One division of a data set.

    Attributes:
        fitted_to: what anchors are fitted to.
        measured_px: (M, 4) boxes of pictures that are not in it, as they stand in the files; yxyx
            in pixels of the network input.
    """

    fitted_to: BoxSample
    measured_px: np.ndarray


@dataclass(frozen=True)
class HeldOut:
    """Objects that anchors are measured on without being fitted to them.

    Attributes:
        name: what they are, for people: "split 'val'".
        folds: each with anchors of its own; their measured boxes together are the objects.
    """

    name: str
    folds: tuple[Fold, ...]

    @property
    def boxes_px(self) -> np.ndarray:
        """(M, 4) all objects to measure on."""
        return np.concatenate([np.zeros((0, 4)), *(fold.measured_px for fold in self.folds)])

    def at_most(self, count: int, *, seed: int) -> HeldOut:
        """Return the same with at most `count` boxes to fit to in each fold."""
        folds = (
            Fold(fold.fitted_to.at_most(count, seed=seed), fold.measured_px) for fold in self.folds
        )
        return HeldOut(self.name, tuple(folds))
