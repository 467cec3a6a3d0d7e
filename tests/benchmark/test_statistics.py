from __future__ import annotations

import math

import numpy as np
import pytest

from edge_retina.benchmark.statistics import interleaved_ratio, pool_summaries, summarize
from edge_retina.benchmark.task import TimesSummary
from edge_retina.errors import BenchmarkError


def test_summary_by_hand() -> None:
    summary = summarize([3.0, 1.0, 2.0, 4.0, 5.0])
    assert (summary.n, summary.mean, summary.min, summary.p50) == (5, 3.0, 1.0, 3.0)
    assert summary.stdev == pytest.approx(math.sqrt(10 / 4))
    assert summary.p90 == pytest.approx(4.6)  # rank .9 * 4 = 3.6, between 4 and 5
    assert summary.p99 == pytest.approx(4.96)
    assert summary.samples == (3.0, 1.0, 2.0, 4.0, 5.0)  # in the order measured


def test_rounds_have_their_own_middles() -> None:
    assert summarize([1.0, 2.0, 9.0, 4.0, 5.0, 5.5], rounds=2).rounds_ms == (2.0, 5.0)


def test_summaries_are_pooled_as_if_the_times_had_been_kept() -> None:
    rounds = [[3.0, 1.0, 2.0], [6.0, 8.0]]
    parts = [summarize(samples) for samples in rounds]
    pooled = pool_summaries(
        [TimesSummary(item.n, item.mean, item.stdev, item.min, item.p50) for item in parts]
    )
    whole = summarize([time for samples in rounds for time in samples])
    assert (pooled.n, pooled.min) == (5, 1.0)
    assert pooled.mean == pytest.approx(whole.mean)
    assert pooled.stdev == pytest.approx(whole.stdev)
    assert (pooled.p50, pooled.p90, pooled.samples) == (4.5, None, ())
    assert pooled.rounds_ms == (2.0, 7.0)


def test_without_a_median_the_mean_stands_for_a_round() -> None:
    pooled = pool_summaries([TimesSummary(4, 3.0, 0.0, 3.0, None)])
    assert (pooled.p50, pooled.stdev, pooled.rounds_ms) == (None, 0.0, (3.0,))


def test_summary_of_one_sample() -> None:
    summary = summarize([7.0])
    assert (summary.stdev, summary.p50, summary.p99) == (0.0, 7.0, 7.0)


def test_summary_of_nothing() -> None:
    with pytest.raises(BenchmarkError, match="no samples"):
        summarize([])


def test_ratio_by_hand() -> None:
    """Rounds 2 and 8: the logs have mean ln 4 and stdev ln 4 / sqrt 2; t of one freedom: 12.706."""
    ratio = interleaved_ratio([[2.0, 2.0, 9.0], [8.0]], [[1.0], [1.0]])
    assert ratio.value == pytest.approx(4.0)
    factor = math.exp(12.706 * math.log(4) / math.sqrt(2) / math.sqrt(2))
    assert (ratio.low, ratio.high) == (pytest.approx(4 / factor), pytest.approx(4 * factor))
    assert ratio.rounds == 2


def test_drift_between_rounds_cancels() -> None:
    """The machine is 3 times slower in the second round; the ratio isn't."""
    ratio = interleaved_ratio([[2.0], [6.0], [2.2]], [[1.0], [3.0], [1.1]])
    assert ratio.value == pytest.approx(2.0)
    assert (ratio.low, ratio.high) == (pytest.approx(2.0), pytest.approx(2.0))


def test_one_round_has_no_interval() -> None:
    ratio = interleaved_ratio([[3.0]], [[2.0]])
    assert (ratio.value, ratio.low, ratio.high, ratio.rounds) == (pytest.approx(1.5), None, None, 1)


@pytest.mark.parametrize("rounds", [3, 30])
def test_the_interval_covers_the_truth_as_often_as_it_says(rounds: int) -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(400):
        slow = [[1.3 * math.exp(rng.normal(0, 0.05))] for _ in range(rounds)]
        fast = [[math.exp(rng.normal(0, 0.05))] for _ in range(rounds)]
        ratio = interleaved_ratio(slow, fast)
        assert ratio.low is not None
        assert ratio.high is not None
        covered += ratio.low <= 1.3 <= ratio.high
    assert 0.92 <= covered / 400 <= 0.98  # 95 % +- three standard errors of 400 cases


@pytest.mark.parametrize("one, other", [([], []), ([[1.0]], [[1.0], [1.0]])])
def test_rounds_must_pair(one: list[list[float]], other: list[list[float]]) -> None:
    with pytest.raises(BenchmarkError, match="can't compare"):
        interleaved_ratio(one, other)
