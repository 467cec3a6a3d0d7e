"""The bootstrap against what is known of it in closed form."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest

from edge_retina.evaluation.coco_metrics import evaluate_detections
from edge_retina.evaluation.intervals import (
    Interval,
    corrected_interval,
    draw_counts,
    metric_differences,
    metric_intervals,
    percentile_interval,
)
from edge_retina.evaluation.matches import Matches, find_matches
from tests.evaluation.errors.made_split import LABELS, draw_errors, found, picture
from tests.evaluation.one_class import first


def binomial(n: int, p: float) -> np.ndarray:
    """Probabilities of 0 ... n."""
    return np.array([math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)])


def test_the_variance_of_a_mean_is_the_closed_form():
    """Of the mean of n values it is the sum of squared deviations by n² (Efron & Tibshirani, 5)."""
    values = np.random.default_rng(0).gamma(2.0, size=40)
    counts = np.concatenate(list(draw_counts(40, resamples=20_000, seed=1)))
    means = counts @ values / 40
    expected = math.sqrt(((values - values.mean()) ** 2).sum()) / 40
    assert means.std() == pytest.approx(expected, rel=0.015)  # 3 standard errors of 20,000 draws
    assert means.mean() == pytest.approx(values.mean(), abs=3 * expected / math.sqrt(20_000))


def test_each_resample_has_as_many_pictures_as_the_split():
    blocks = list(draw_counts(7, resamples=250))
    assert [block.shape for block in blocks] == [(100, 7), (100, 7), (50, 7)]
    assert {int(total) for block in blocks for total in block.sum(axis=1)} == {7}
    again = draw_counts(7, resamples=250)
    assert all(np.array_equal(*pair) for pair in zip(blocks, again, strict=True))
    assert not np.array_equal(blocks[0], next(draw_counts(7, resamples=250, seed=1)))


def test_a_large_split_has_the_same_draws_in_smaller_blocks(monkeypatch: pytest.MonkeyPatch):
    whole = np.concatenate(list(draw_counts(7, resamples=250)))
    monkeypatch.setattr("edge_retina.evaluation.intervals._PICTURES_AT_ONCE", 21)
    blocks = list(draw_counts(7, resamples=250))
    assert {len(block) for block in blocks} == {1, 3}
    assert np.array_equal(np.concatenate(blocks), whole)


@pytest.mark.parametrize("right, pictures", [(24, 40), (10, 50), (95, 100)])
def test_the_interval_of_an_ap_is_the_closed_form(right: int, pictures: int):
    """One object a picture and no false alarm: a resample finds k of n, k binomial.

    Precision is 1 up to a recall of k / n, so AP is the share of the 101 recalls up to there.
    """
    chances = np.cumsum(binomial(pictures, right / pictures))
    normal = NormalDist()
    shift = normal.inv_cdf((chances[right - 1] + chances[right]) / 2)
    shares = [normal.cdf(2 * shift - 1.96), normal.cdf(2 * shift + 1.96)]
    low, high = (int(np.searchsorted(chances, share)) for share in shares)
    intervals = metric_intervals(first(right, pictures), ["a"], resamples=4000)

    def precision(k: int) -> float:
        return float(np.searchsorted(np.linspace(0, 1, 101), k / pictures, side="right")) / 101

    for bound, k in zip(intervals.mAP.bounds, (low, high), strict=True):
        below, above = precision(max(k - 1, 0)), precision(min(k + 1, pictures))
        assert below - 1e-9 <= bound <= above + 1e-9, "an object more or less"
    assert intervals.mAP50.bounds == pytest.approx(intervals.mAP.bounds)
    assert intervals.per_class["a"].bounds == pytest.approx(intervals.mAP.bounds)


def test_the_spread_of_resampled_aps_is_the_closed_form():
    pictures, right = 50, 30
    chances = binomial(pictures, right / pictures)
    aps = (np.floor(100 * np.arange(pictures + 1) / pictures + 1e-9) + 1) / 101
    expected = math.sqrt(chances @ aps**2 - (chances @ aps) ** 2)
    matches = first(right, pictures)
    drawn = [
        matches.average_precision(counts).mean(axis=(1, 2))
        for counts in draw_counts(pictures, resamples=10_000)
    ]
    assert np.concatenate(drawn).std() == pytest.approx(expected, rel=0.02)


def test_values_are_those_of_the_metrics():
    examples, detections = draw_errors(20, 0, classes=2)
    expected = evaluate_detections(examples, detections, LABELS)
    found_ = metric_intervals(find_matches(examples, detections, LABELS), LABELS, resamples=200)
    assert found_.mAP.value == pytest.approx(expected.mAP)
    assert found_.mAP50.value == pytest.approx(expected.mAP50)
    assert found_.per_class["c"] is None
    for label in ("a", "b"):
        item = found_.per_class[label]
        assert item is not None
        assert item.value == pytest.approx(expected.per_class[label])
        assert item.low is not None
        assert item.high is not None
        assert item.low < item.value < item.high


def test_most_intervals_hold_the_truth():
    """60 splits of 60 pictures, in which an object is found with a chance of .6."""
    rng = np.random.default_rng(0)
    splits = rng.binomial(60, 0.6, size=60)
    intervals = [metric_intervals(first(int(k), 60), ["a"], resamples=200).mAP for k in splits]
    holding = sum(item.low <= 0.6 + 0.4 / 101 <= item.high for item in intervals)
    assert 51 <= holding <= 60  # 57 expected


def test_a_single_picture_has_no_interval():
    intervals = metric_intervals(first(1, 1), ["a"])
    assert intervals.mAP.value == pytest.approx(1.0)
    assert intervals.mAP.bounds is None
    assert intervals.to_dict()["mAP"] is None


def test_a_class_in_a_single_picture_has_no_interval():
    box = (0, 0, 64, 64)
    examples = [picture(("a", box), ("b", box)), picture(("a", box)), picture(("a", box))]
    detections = [found(("a", box, 0.9), ("b", box, 0.9)), found(), found(("a", box, 0.8))]
    intervals = metric_intervals(find_matches(examples, detections, LABELS), LABELS)
    assert intervals.per_class["b"].value == pytest.approx(1.0)
    assert intervals.per_class["b"].bounds is None
    assert intervals.per_class["a"].bounds is not None
    assert intervals.per_class["c"] is None


@pytest.mark.parametrize("bias", [-0.05, 0.0, 0.05])
def test_a_bias_of_the_resamples_is_taken_off(bias: float):
    """Of normal resamples the closed form is value - bias ± 1.96 standard errors."""
    shares = (np.arange(20_000) + 0.5) / 20_000
    resampled = np.array([NormalDist(0.6 + bias, 0.1).inv_cdf(share) for share in shares])
    low, high = corrected_interval(0.6, resampled).bounds
    assert low == pytest.approx(0.6 - bias - 1.96 * 0.1, abs=0.002)
    assert high == pytest.approx(0.6 - bias + 1.96 * 0.1, abs=0.002)


def test_the_correction_is_limited():
    """All resamples lie above the value: it moves by one standard error at most."""
    resampled = np.linspace(0.7, 0.8, 1001)
    low, high = corrected_interval(0.5, resampled).bounds
    assert low == pytest.approx(0.7, abs=0.001)
    assert high == pytest.approx(0.7 + 0.1 * NormalDist().cdf(-0.04), abs=0.001)


def test_resamples_without_the_class_are_left_out():
    for interval in (percentile_interval, corrected_interval):
        item = interval(0.5, np.array([np.nan, 0.0, 1.0, np.nan]))
        assert item.bounds == pytest.approx([0.025, 0.975])
        assert interval(0.5, np.array([np.nan])) == Interval(0.5, None, None)


def test_a_difference_is_paired():
    """The two differ in four pictures, of which one finds all and the other none.

    The difference of a resample is about the share of the four among its pictures: binomial.
    """
    one, other = first(40, 60), first(36, 60)
    difference = metric_differences(one, other, ["a"], resamples=4000)
    chances = np.cumsum(binomial(60, 4 / 60))
    low, high = (np.searchsorted(chances, share) / 60 for share in (0.025, 0.975))
    assert difference.mAP.value == pytest.approx(one.mAP() - other.mAP())
    assert difference.mAP.low == pytest.approx(low, abs=0.011)  # AP comes in steps of 1 / 101
    assert difference.mAP.high == pytest.approx(high, abs=0.011)
    alone = metric_intervals(one, ["a"]).mAP
    assert difference.mAP.high - difference.mAP.low < 0.6 * (alone.high - alone.low)
    assert difference.mAP.excludes_zero
    back = metric_differences(other, one, ["a"], resamples=4000)
    assert back.mAP.bounds == pytest.approx([-difference.mAP.high, -difference.mAP.low])
    assert back.mAP.excludes_zero


def test_a_model_is_not_distinguishable_from_itself():
    difference = metric_differences(first(30, 60), first(30, 60), ["a"])
    assert difference.mAP == Interval(0.0, 0.0, 0.0)
    assert not difference.mAP.excludes_zero
    assert difference.differences_to_dict()["mAP"] == {
        "value": 0.0,
        "low": 0.0,
        "high": 0.0,
        "distinguishable": False,
    }


def test_models_on_other_pictures_are_refused():
    with pytest.raises(ValueError, match="not measured on the same pictures"):
        metric_differences(first(1, 3), first(1, 4), ["a"])


def test_a_model_is_resampled_once_whatever_is_asked(monkeypatch: pytest.MonkeyPatch):
    examples, detections = draw_errors(12, 0)
    one, other = (find_matches(examples, detections, LABELS) for _ in range(2))
    for matches in (one, other):
        metric_intervals(matches, LABELS, resamples=20)
    with_counts = []
    whole = Matches.average_precision

    def counted(self: Matches, counts: np.ndarray | None = None) -> np.ndarray:
        with_counts.append(counts is not None)
        return whole(self, counts)

    monkeypatch.setattr(Matches, "average_precision", counted)
    metric_differences(one, other, LABELS, resamples=20)
    assert not any(with_counts)
    metric_differences(one, other, LABELS, resamples=20, seed=1)
    assert any(with_counts)
