"""Summaries of measured times: of one series, and of two that were measured in turn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_retina.benchmark.task import TimesSummary
from edge_retina.errors import BenchmarkError

# 97.5 % quantiles of Student's t for 1, 2, ... degrees of freedom, from a printed table; SciPy is
# a large dependency for that. Beyond the table its last value is taken, a little too wide.
_T_975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179)


@dataclass(frozen=True)
class LatencyStatistics:
    """Times of one stage or of the whole, in milliseconds.

    Attributes:
        n: number of samples.
        mean, stdev: stdev with n - 1; 0 for one sample.
        min, p50, p90, p99: percentiles, interpolated linearly between samples; None where single
            times were not kept.
        samples: all of them, in the order in which they were taken; empty if they were not kept.
        rounds_ms: the middle of each round: its median, or its mean where no median was told.
    """

    n: int
    mean: float
    stdev: float
    min: float
    p50: float | None
    p90: float | None
    p99: float | None
    samples: tuple[float, ...]
    rounds_ms: tuple[float, ...] = ()


@dataclass(frozen=True)
class Ratio:
    """How many times as long one series took as another.

    Attributes:
        value: geometric mean of the rounds' ratios.
        low, high: the 95 % interval; None with a single round.
        rounds: number of rounds.
    """

    value: float
    low: float | None
    high: float | None
    rounds: int

    @property
    def verdict(self) -> str:
        """What the interval allows to say: "faster", "slower" or "no difference shown"."""
        if self.high is not None and self.high < 1:
            return "faster"
        if self.low is not None and self.low > 1:
            return "slower"
        return "no difference shown"


def summarize(rounds_ms: Sequence[Sequence[float]]) -> LatencyStatistics:
    """Summarize a series of times.

    Args:
        rounds_ms: the times of each round.

    Raises:
        BenchmarkError: a round is empty, or there is none.
    """
    if not len(rounds_ms) or not all(map(len, rounds_ms)):
        raise BenchmarkError("no samples to summarize; measure at least one run")
    values = np.concatenate([np.asarray(samples, np.float64) for samples in rounds_ms])
    p50, p90, p99 = np.percentile(values, (50, 90, 99))
    return LatencyStatistics(
        n=len(values),
        mean=float(values.mean()),
        stdev=float(values.std(ddof=1)) if len(values) > 1 else 0.0,
        min=float(values.min()),
        p50=float(p50),
        p90=float(p90),
        p99=float(p99),
        samples=tuple(float(value) for value in values),
        rounds_ms=tuple(float(np.median(samples)) for samples in rounds_ms),
    )


def pool_summaries(summaries: Sequence[TimesSummary]) -> LatencyStatistics:
    """Join the summaries of rounds whose single times were not kept.

    The spread is that of all times together: within the rounds and between them.

    Args:
        summaries: of each round.
    """
    n = sum(item.n for item in summaries)
    mean = sum(item.n * item.mean for item in summaries) / n
    squares = sum(
        (item.n - 1) * item.stdev**2 + item.n * (item.mean - mean) ** 2 for item in summaries
    )
    medians = [item.median for item in summaries if item.median is not None]
    middles = [item.mean if item.median is None else item.median for item in summaries]
    return LatencyStatistics(
        n=n,
        mean=mean,
        stdev=math.sqrt(squares / (n - 1)) if n > 1 else 0.0,
        min=min(item.min for item in summaries),
        # Of several rounds the median of their medians: near to that of all, whose times are gone
        p50=float(np.median(medians)) if len(medians) == len(summaries) else None,
        p90=None,
        p99=None,
        samples=(),
        rounds_ms=tuple(middles),
    )


def interleaved_ratio(
    rounds_ms: Sequence[Sequence[float]], reference_rounds_ms: Sequence[Sequence[float]]
) -> Ratio:
    """Compare two series that were measured in turn, turn by turn and round by round.

    A machine drifts (clock, temperature, other work): turns that follow each other are alike, those
    of different times aren't. Each pair of turns gives one ratio, in which the drift cancels. A
    round's ratio is their geometric mean without the lowest and the highest tenth, so that a few
    turns that another program disturbed don't move it. What a process keeps for its life, such as
    where its memory lies, differs from round to round; so the interval is Student's t over the
    logarithms of the rounds' ratios.

    Deviation: no bootstrap. Over so few rounds it is too narrow: of three simulated rounds of 16
    turns it covered the true ratio in 77 % of 400 cases, and in 90 % if it also drew turns within
    the rounds (five rounds: 84 %, 92 %); this interval in 96 % (95 %). The simulation is a test.

    Args:
        rounds_ms: the middle of each turn, by rounds; turns that have no counterpart are left out.
        reference_rounds_ms: those of the other series in the same rounds.

    Raises:
        BenchmarkError: other numbers of rounds, or none.
    """
    if len(rounds_ms) != len(reference_rounds_ms) or not len(rounds_ms):
        raise BenchmarkError(
            f"can't compare {len(rounds_ms)} rounds with {len(reference_rounds_ms)}; "
            "both series need the same rounds, at least one"
        )
    logs = np.array(
        [
            _middle_mean([math.log(one / other) for one, other in zip(ours, theirs, strict=False)])
            for ours, theirs in zip(rounds_ms, reference_rounds_ms, strict=True)
        ]
    )
    error = None if len(logs) == 1 else logs.std(ddof=1) / math.sqrt(len(logs))
    return _ratio(logs.mean(), error, freedom=len(logs) - 1, rounds=len(logs))


def separate_ratio(rounds_ms: Sequence[float], reference_rounds_ms: Sequence[float]) -> Ratio:
    """Compare two series that were measured at different times.

    The interval is Welch's, over the logarithms of the rounds' middles. It holds what changes from
    round to round, not what changed between the two measurements.

    Args:
        rounds_ms: the middle of each round, at least one.
        reference_rounds_ms: those of the other series.
    """
    logs = [np.log(np.asarray(values, np.float64)) for values in (rounds_ms, reference_rounds_ms)]
    difference = logs[0].mean() - logs[1].mean()
    rounds = min(map(len, logs))
    if rounds == 1:
        return _ratio(difference, None, freedom=0, rounds=1)
    parts = [values.var(ddof=1) / len(values) for values in logs]
    total = sum(parts)
    # Welch-Satterthwaite; equal values have no spread, and then the freedom is of no account
    weights = sum(part**2 / (len(values) - 1) for part, values in zip(parts, logs, strict=True))
    freedom = int(total**2 / weights) if weights else rounds - 1
    return _ratio(difference, math.sqrt(total), freedom=max(1, freedom), rounds=rounds)


def _middle_mean(values: Sequence[float]) -> float:
    """Return the mean without the lowest and the highest tenth."""
    tenth = len(values) // 10
    return float(np.mean(sorted(values)[tenth : len(values) - tenth]))


def _ratio(log: float, error: float | None, *, freedom: int, rounds: int) -> Ratio:
    """Return a ratio from its logarithm and the standard error of that."""
    value = math.exp(log)
    if error is None:
        return Ratio(value, None, None, rounds)
    factor = math.exp(_T_975[min(freedom, len(_T_975)) - 1] * error)
    return Ratio(value, value / factor, value * factor, rounds)
