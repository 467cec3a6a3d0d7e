"""The counter-proof of a suspected cause: what a short training gains with only that mended."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

PROVEN, REFUTED, OPEN = "proven", "refuted", "not distinguishable"
_SURE = 2.0  # times the noise
_NOTHING = 0.02  # mAP of trainings that have learnt nothing yet, and so say nothing


@dataclass(frozen=True)
class Proof:
    """The mAP before and after one cause was mended, and nothing else changed.

    Attributes:
        code, title: of the cause.
        estimate: mAP that it was estimated to cost.
        steps: of each training; 0 if nothing had to be trained.
        before, after: mAP, by seed if there were trainings.
        noise: standard error of the mean gain.
    """

    code: str
    title: str
    estimate: float
    steps: int
    before: tuple[float, ...]
    after: tuple[float, ...]
    noise: float

    @property
    def gain(self) -> float:
        """Mean gain in mAP."""
        return fmean(self.after) - fmean(self.before)

    @property
    def verdict(self) -> str:
        """Whether mending gains more than the noise; open if all trainings learnt nothing."""
        if max(*self.before, *self.after) < _NOTHING:
            return OPEN
        if self.gain > _SURE * self.noise and self.gain > 0:
            return PROVEN
        return REFUTED if self.gain <= 0 else OPEN

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts and lists for JSON."""
        return {**asdict(self), "gain": self.gain, "verdict": self.verdict}


def seed_noise(before: Sequence[float], after: Sequence[float]) -> float:
    """Return the standard error of the mean gain of trainings with several seeds.

    The spread between seeds is taken to be the same before and after, so that both tell about it.

    Args:
        before: mAP by seed, two or more.
        after: likewise.
    """
    squares = [(x - fmean(values)) ** 2 for values in (before, after) for x in values]
    variance = sum(squares) / (len(squares) - 2)
    return math.sqrt(variance * (1 / len(before) + 1 / len(after)))
