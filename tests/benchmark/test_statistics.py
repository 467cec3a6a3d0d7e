from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest

from edge_retina.benchmark.statistics import (
    interleaved_ratio,
    pool_summaries,
    separate_ratio,
    summarize,
)
from edge_retina.benchmark.task import TimesSummary
from edge_retina.errors import BenchmarkError


def test_summary_by_hand() -> None:
    summary = summarize([[3.0, 1.0, 2.0], [4.0, 5.0]])
    assert (summary.n, summary.mean, summary.min, summary.p50) == (5, 3.0, 1.0, 3.0)
    assert summary.stdev == pytest.approx(math.sqrt(10 / 4))
    assert summary.p90 == pytest.approx(4.6)  # rank .9 * 4 = 3.6, between 4 and 5
    assert summary.p99 == pytest.approx(4.96)
    assert summary.samples == (3.0, 1.0, 2.0, 4.0, 5.0)  # in the order measured


def test_rounds_have_their_own_middles() -> None:
    assert summarize([[1.0, 2.0, 9.0], [4.0, 6.0]]).rounds_ms == (2.0, 5.0)


def test_summaries_are_pooled_as_if_the_times_had_been_kept() -> None:
    rounds = [[3.0, 1.0, 2.0], [6.0, 8.0]]
    parts = [summarize([samples]) for samples in rounds]
    pooled = pool_summaries(
        [TimesSummary(item.n, item.mean, item.stdev, item.min, item.p50) for item in parts]
    )
    whole = summarize(rounds)
    assert (pooled.n, pooled.min) == (5, 1.0)
    assert pooled.mean == pytest.approx(whole.mean)
    assert pooled.stdev == pytest.approx(whole.stdev)
    assert (pooled.p50, pooled.p90, pooled.samples) == (4.5, None, ())
    assert pooled.rounds_ms == (2.0, 7.0)


def test_without_a_median_the_mean_stands_for_a_round() -> None:
    pooled = pool_summaries([TimesSummary(4, 3.0, 0.0, 3.0, None)])
    assert (pooled.p50, pooled.stdev, pooled.rounds_ms) == (None, 0.0, (3.0,))


def test_summary_of_one_sample() -> None:
    summary = summarize([[7.0]])
    assert (summary.stdev, summary.p50, summary.p99) == (0.0, 7.0, 7.0)


def test_summary_of_nothing() -> None:
    with pytest.raises(BenchmarkError, match="no samples"):
        summarize([])


def test_ratio_by_hand() -> None:
    """Rounds 2 and 8: the logs have mean ln 4 and stdev ln 4 / sqrt 2; t of one freedom: 12.706."""
    ratio = interleaved_ratio([[4.0, 1.0], [8.0]], [[1.0, 1.0], [1.0]])
    assert ratio.value == pytest.approx(4.0)
    factor = math.exp(12.706 * math.log(4) / math.sqrt(2) / math.sqrt(2))
    assert (ratio.low, ratio.high) == (pytest.approx(4 / factor), pytest.approx(4 * factor))
    assert ratio.rounds == 2


def test_a_disturbed_turn_does_not_count() -> None:
    """Of ten turns the lowest and the highest are left out."""
    ratio = interleaved_ratio([[2.0] * 8 + [900.0, 2.0]], [[1.0] * 9 + [70.0]])
    assert ratio.value == pytest.approx(2.0)


def test_drift_between_turns_cancels() -> None:
    """The machine gets slower with every turn; what has no counterpart is left out."""
    ratio = interleaved_ratio([[2.0, 4.0, 6.0, 90.0]], [[1.0, 2.0, 3.0]])
    assert ratio.value == pytest.approx(2.0)


def test_drift_between_rounds_cancels() -> None:
    """The machine is 3 times slower in the second round; the ratio isn't."""
    ratio = interleaved_ratio([[2.0], [6.0], [2.2]], [[1.0], [3.0], [1.1]])
    assert ratio.value == pytest.approx(2.0)
    assert (ratio.low, ratio.high) == (pytest.approx(2.0), pytest.approx(2.0))


def test_one_round_has_no_interval() -> None:
    ratio = interleaved_ratio([[3.0]], [[2.0]])
    assert (ratio.value, ratio.low, ratio.high, ratio.rounds) == (pytest.approx(1.5), None, None, 1)


def _measured(rng: np.random.Generator, rounds: int, turns: int) -> np.ndarray:
    """Return times (rounds, turns) around 1: a process for each round, noise for each turn."""
    process = rng.normal(0, 0.02, (rounds, 1))
    return np.exp(process + rng.normal(0, 0.05, (rounds, turns)))


def _intervals(ours: np.ndarray, theirs: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
    """Return 95 % intervals by three methods; both bootstraps are of percentiles."""
    ratio = interleaved_ratio(ours.tolist(), theirs.tolist())
    logs = np.log(ours / theirs)
    rounds, turns = logs.shape
    which = rng.integers(0, rounds, (400, rounds, 1))
    again = rng.integers(0, turns, (400, rounds, turns))
    draws = {"rounds": logs[which[..., 0]].mean((1, 2)), "both": logs[which, again].mean((1, 2))}
    bootstraps = {name: np.exp(np.percentile(x, (2.5, 97.5))) for name, x in draws.items()}
    return {"t": (ratio.low, ratio.high), **bootstraps}


@pytest.mark.parametrize("rounds", [3, 5, 30])
def test_the_interval_covers_the_truth_as_often_as_it_says(rounds: int) -> None:
    """The bootstraps, of rounds or of rounds and their turns, do so only with many rounds."""
    rng = np.random.default_rng(1)
    cases = 400
    covered = Counter[str]()
    for _ in range(cases):
        ours, theirs = 1.3 * _measured(rng, rounds, 16), _measured(rng, rounds, 16)
        for name, (low, high) in _intervals(ours, theirs, rng).items():
            covered[name] += low <= 1.3 <= high
    share = {name: number / cases for name, number in covered.items()}
    assert 0.92 <= share["t"] <= 0.98  # 95 % +- three standard errors of 400 cases
    if rounds == 3:
        assert share["rounds"] < 0.85
        assert share["both"] < 0.93
    if rounds == 30:
        assert min(share.values()) >= 0.9


def test_measurements_of_different_times_by_hand() -> None:
    """Logs 0 and 2 against 0 and 0: difference 1, standard error 1, one degree of freedom."""
    ratio = separate_ratio([1.0, math.exp(2)], [1.0, 1.0])
    assert ratio.value == pytest.approx(math.e)
    assert ratio.low == pytest.approx(math.exp(1 - 12.706))
    assert ratio.high == pytest.approx(math.exp(1 + 12.706))
    assert ratio.verdict == "no difference shown"


def test_equal_rounds_of_different_times_have_no_spread() -> None:
    ratio = separate_ratio([3.0, 3.0], [2.0, 2.0, 2.0])
    assert (ratio.value, ratio.low, ratio.high) == (pytest.approx(1.5),) * 3
    assert ratio.verdict == "slower"
    assert separate_ratio([3.0], [2.0, 2.0]).low is None


def test_the_interval_of_different_times_covers_the_truth() -> None:
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(400):
        ours, theirs = 1.3 * np.exp(rng.normal(0, 0.05, 5)), np.exp(rng.normal(0, 0.02, 5))
        ratio = separate_ratio(ours.tolist(), theirs.tolist())
        assert ratio.low is not None
        assert ratio.high is not None
        covered += ratio.low <= 1.3 <= ratio.high
    assert 0.92 <= covered / 400 <= 0.98


@pytest.mark.parametrize("one, other", [([], []), ([[1.0]], [[1.0], [1.0]])])
def test_rounds_must_pair(one: list[list[float]], other: list[list[float]]) -> None:
    with pytest.raises(BenchmarkError, match="can't compare"):
        interleaved_ratio(one, other)
