"""From what a tensor's values were to the range that int8 gets for them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from edge_retina.layer_names import without_level

METHODS = ("minmax", "percentile", "mse")
_STEPS = 255  # between the 256 levels
_SHARES = np.linspace(0.2, 1.0, 41)  # of the full range that the search tries at either end

Range = tuple[float, float]


@dataclass(frozen=True)
class Histogram:
    """How often a tensor's values were where.

    Attributes:
        low: least value.
        high: greatest value.
        counts: (bins,) of equal width from `low` to `high`.
    """

    low: float
    high: float
    counts: np.ndarray

    @property
    def centres(self) -> np.ndarray:
        """Middle of each bin (bins,)."""
        bins = len(self.counts)
        return self.low + (np.arange(bins) + 0.5) * (self.high - self.low) / bins

    def above(self, floor: float) -> Histogram:
        """Return the histogram without what lies under `floor`."""
        keep = self.centres >= floor
        return Histogram(self.low, self.high, np.where(keep, self.counts, 0))


def choose_range(
    histogram: Histogram, method: str, *, percentile: float, keep_high: bool = False
) -> Range:
    """Return the range for a tensor; it always holds 0, which int8 must represent exactly.

    Args:
        histogram: of the tensor.
        method: one of `METHODS`.
        percentile: of the values that lie in the range, e.g. 99.99; what is left out is shared by
            both ends.
        keep_high: never cut the upper end: for class logits, whose rare high values are the
            objects.
    """
    full = (min(histogram.low, 0.0), max(histogram.high, 0.0))
    if method == "minmax" or not histogram.counts.sum() or full[0] == full[1]:
        return full
    chosen = (
        _percentile_range(histogram, percentile)
        if method == "percentile"
        else _mse_range(histogram)
    )
    low, high = max(full[0], min(chosen[0], 0.0)), min(full[1], max(chosen[1], 0.0))
    return low, full[1] if keep_high else high


def logit_floor(score_threshold: float) -> float:
    """Return the lowest class logit worth telling apart.

    A logit below the score threshold never becomes a detection, however far below it is. Cutting
    the range half a unit below spends the 256 levels on scores that count.
    """
    threshold = min(max(score_threshold, 1e-3), 0.5)
    return math.log(threshold / (1 - threshold)) - 0.5


def _percentile_range(histogram: Histogram, percentile: float) -> Range:
    share = np.cumsum(histogram.counts) / histogram.counts.sum()
    out = (1 - percentile / 100) / 2
    edges = np.linspace(histogram.low, histogram.high, len(histogram.counts) + 1)
    first = int(np.searchsorted(share, out, side="right"))
    last = int(np.searchsorted(share, 1 - out, side="left"))
    return float(edges[first]), float(edges[min(last + 1, len(edges) - 1)])


def _mse_range(histogram: Histogram) -> Range:
    """Return the range with the least mean squared error: of rounding within, of cutting outside.

    Every end is tried at shares of its full extent.
    """
    full = (min(histogram.low, 0.0), max(histogram.high, 0.0))
    used = histogram.counts > 0
    values, counts = histogram.centres[used], histogram.counts[used]
    ends = (np.unique(full[0] * _SHARES), np.unique(full[1] * _SHARES))
    best, least = full, np.inf
    for low in ends[0]:
        # (highs, values): the error of every value for every upper end.
        high = ends[1][:, None]
        cut = np.clip(values, low, high) - values
        step = (high - low) / _STEPS
        inside = cut == 0
        errors = ((np.where(inside, step**2 / 12, 0) + cut**2) * counts).sum(axis=1)
        at = int(errors.argmin())
        if errors[at] < least:
            best, least = (float(low), float(ends[1][at])), float(errors[at])
    return best


def share_levels(ranges: Mapping[str, Range]) -> dict[str, Range]:
    """Give the layers of a shared head one range on all levels: the union of theirs.

    Args:
        ranges: by layer name.
    """
    groups: dict[str, list[Range]] = {}
    for name, ends in ranges.items():
        groups.setdefault(without_level(name), []).append(ends)
    return {name: _union(groups[without_level(name)]) for name in ranges}


def _union(ranges: Iterable[Range]) -> Range:
    lows, highs = zip(*ranges, strict=True)
    return min(lows), max(highs)
