"""How far a metric would be elsewhere with other pictures: bootstrap intervals over pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from edge_retina.evaluation.matches import Matches

RESAMPLES = 1000
LEVEL = 0.95
CORRECTED = "bias-corrected percentiles of a bootstrap over pictures"
PAIRED = "percentiles of a paired bootstrap over pictures"

# Resamples, and pictures in them, that are drawn at a time: memory must not grow with the split.
_AT_ONCE = 100
_PICTURES_AT_ONCE = 500_000


@dataclass(frozen=True)
class Interval:
    """A figure with its interval.

    Attributes:
        value: measured on the split itself.
        low, high: the interval; None where the split can't tell: fewer than two pictures that
            matter.
    """

    value: float
    low: float | None
    high: float | None

    @property
    def excludes_zero(self) -> bool:
        """Whether 0 lies outside: a difference is beyond what the choice of pictures explains."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high

    @property
    def bounds(self) -> list[float] | None:
        """Return [low, high] for JSON; None where unknown."""
        return None if self.low is None or self.high is None else [self.low, self.high]


@dataclass(frozen=True)
class MetricIntervals:
    """mAP, mAP50 and AP of each class with their intervals, or differences of these.

    Attributes:
        mAP, mAP50: over the classes.
        per_class: AP by label, in the labels' order; None for a class without objects.
        method: `CORRECTED` for metrics, `PAIRED` for differences.
        resamples: how often pictures were drawn.
        seed: of the draws.
    """

    mAP: Interval
    mAP50: Interval
    per_class: dict[str, Interval | None]
    method: str
    resamples: int
    seed: int

    def items(self) -> list[tuple[str, Interval | None]]:
        """Return all figures by the names that `evaluate` prints."""
        by_class = [(f"AP {label}", interval) for label, interval in self.per_class.items()]
        return [("mAP", self.mAP), ("mAP50", self.mAP50), *by_class]

    def to_dict(self) -> dict[str, Any]:
        """Return the intervals as they stand in the JSON of `evaluate`, each [low, high]."""
        return {
            **self._about(),
            "mAP": self.mAP.bounds,
            "mAP50": self.mAP50.bounds,
            "per_class": {label: item and item.bounds for label, item in self.per_class.items()},
        }

    def differences_to_dict(self) -> dict[str, Any]:
        """Return differences as they stand in the JSON of `evaluate --against`."""
        return {
            **self._about(),
            "mAP": _difference(self.mAP),
            "mAP50": _difference(self.mAP50),
            "per_class": {
                label: item and _difference(item) for label, item in self.per_class.items()
            },
        }

    def _about(self) -> dict[str, Any]:
        return {
            "level": LEVEL,
            "method": self.method,
            "resamples": self.resamples,
            "seed": self.seed,
        }


def draw_counts(
    pictures: int, *, resamples: int = RESAMPLES, seed: int = 0
) -> Iterator[np.ndarray]:
    """Yield bootstrap resamples of a split, (B, I): how often each picture was drawn.

    Args:
        pictures: I, as many as are drawn each time, with replacement.
        resamples: how many in all; they come in blocks of B <= 100, fewer of a large split.
        seed: the same draws on every machine, whatever the blocks are.
    """
    rng = np.random.default_rng(seed)
    block = max(1, min(_AT_ONCE, _PICTURES_AT_ONCE // max(pictures, 1)))
    for start in range(0, resamples, block):
        drawn = rng.integers(pictures, size=(min(block, resamples - start), pictures))
        yield np.stack([np.bincount(row, minlength=pictures) for row in drawn])


def percentile_interval(value: float, resampled: np.ndarray, *, shift: float = 0.0) -> Interval:
    """Return the 95 % interval of a figure from the percentiles of its resamples.

    Args:
        value: of the split itself.
        resampled: (B,) of the resamples; NaN where undefined, which is left out.
        shift: how many standard errors the resamples lie too low.

    Source: Efron & Tibshirani 1993, An Introduction to the Bootstrap, sections 13.3 and 14.3.
    """
    known = resampled[~np.isnan(resampled)]
    if not len(known):
        return Interval(value, None, None)
    normal = NormalDist()
    reach = normal.inv_cdf((1 + LEVEL) / 2)
    low, high = np.quantile(known, [normal.cdf(2 * shift + end) for end in (-reach, reach)])
    return Interval(value, float(low), float(high))


def corrected_interval(value: float, resampled: np.ndarray) -> Interval:
    """Return the same with the bias of the resamples taken off.

    mAP needs it: a picture that is drawn twice agrees with itself, so resamples have a higher mAP
    than the split, as the split has a higher one than all the pictures there could be. Resamples of
    the validation splits of vehicles5, chess (150 each) and bccd (60) were each taken for a split
    of its own: the corrected intervals of mAP held the truth in 94, 89 and 90 %, plain percentiles
    in 87, 81 and 87 %.
    The difference of two models has next to no bias; there plain percentiles did better.

    Source: Efron & Tibshirani 1993, section 14.3, without the acceleration. Deviation: at most one
    standard error is taken off, since beyond that few resamples would decide.
    """
    known = resampled[~np.isnan(resampled)]
    close = np.isclose(known, value, rtol=0, atol=1e-9)  # equal but for rounding
    below = np.where(close, 0.5, known < value).mean() if len(known) else 0.5
    normal = NormalDist()
    limited = min(max(float(below), normal.cdf(-1)), normal.cdf(1))
    return percentile_interval(value, known, shift=normal.inv_cdf(limited))


def mAP_resamples(matches: Matches, *, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """Return the mAP (B,) of B resamples of a split.

    The draws are the same for every model of a split, so that the differences of two models'
    resamples are those of a paired bootstrap.

    Args:
        matches: of a model on the split.
        resamples: B.
        seed: of the draws.
    """
    return _resampled(matches, resamples, seed)[:, 0]


def metric_intervals(
    matches: Matches, labels: Sequence[str], *, resamples: int = RESAMPLES, seed: int = 0
) -> MetricIntervals:
    """Return mAP, mAP50 and AP by class of a split with their intervals.

    Args:
        matches: of a model on the split, see `find_matches`.
        labels: class names by index.
        resamples: number of draws.
        seed: of the draws.
    """
    value = _summarize(matches.average_precision())[0]
    drawn = _resampled(matches, resamples, seed)
    return _intervals(value, drawn, matches.objects, labels, CORRECTED, seed)


def metric_differences(
    one: Matches,
    other: Matches,
    labels: Sequence[str],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> MetricIntervals:
    """Return by how much the metrics of `one` are higher, with the intervals of the differences.

    By the paired bootstrap: both models are measured on the same draws, so that what makes a
    picture hard for both cancels out. An interval that contains 0 means that the split can't tell
    the two apart, see `Interval.excludes_zero`.

    Args:
        one: of a model.
        other: of another one, on the same pictures in the same order.
        labels: class names by index.
        resamples: number of draws.
        seed: of the draws.

    Raises:
        ValueError: the two are not of the same objects.
    """
    if not np.array_equal(one.objects, other.objects):
        raise ValueError("the two models were not measured on the same pictures")

    value = _summarize(one.average_precision())[0] - _summarize(other.average_precision())[0]
    drawn = _resampled(one, resamples, seed) - _resampled(other, resamples, seed)
    return _intervals(value, drawn, one.objects, labels, PAIRED, seed)


def _resampled(matches: Matches, resamples: int, seed: int) -> np.ndarray:
    """Return the metrics (B, 2 + K) of resamples, see `_summarize`; computed once for a model."""
    key = resamples, seed
    if key not in matches.resamples:
        blocks = draw_counts(len(matches.objects), resamples=resamples, seed=seed)
        matches.resamples[key] = np.concatenate(
            [_summarize(matches.average_precision(counts)) for counts in blocks]
        )
    return matches.resamples[key]


def _intervals(
    value: np.ndarray,
    drawn: np.ndarray,
    objects: np.ndarray,
    labels: Sequence[str],
    method: str,
    seed: int,
) -> MetricIntervals:
    """Return the figures (2 + K,) of a split with the intervals that resamples (B, 2 + K) give."""
    with_object = np.count_nonzero(objects, axis=0).tolist()
    pictures = [len(objects), len(objects), *with_object]
    interval = corrected_interval if method == CORRECTED else percentile_interval
    known = [
        interval(float(figure), column) if enough >= 2 else Interval(float(figure), None, None)
        for figure, column, enough in zip(value, drawn.T, pictures, strict=True)
    ]
    by_class = zip(labels, known[2:], with_object, strict=True)
    return MetricIntervals(
        mAP=known[0],
        mAP50=known[1],
        per_class={label: item if count else None for label, item, count in by_class},
        method=method,
        resamples=len(drawn),
        seed=seed,
    )


def _summarize(precision: np.ndarray) -> np.ndarray:
    """Return mAP, mAP50 and AP of each class (B, 2 + K) from AP by class and threshold (B, K, T).

    The means are over the classes that have an object; 0 if no class has.
    """
    by_class = precision.mean(axis=2)
    known = ~np.isnan(by_class)
    classes = np.maximum(known.sum(axis=1), 1)
    at_all, at_50 = (
        np.where(known, values, 0).sum(axis=1) / classes for values in (by_class, precision[..., 0])
    )
    return np.column_stack([at_all, at_50, by_class])


def _difference(item: Interval) -> dict[str, Any]:
    return {
        "value": item.value,
        "low": item.low,
        "high": item.high,
        "distinguishable": item.excludes_zero,
    }
