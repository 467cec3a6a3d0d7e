from __future__ import annotations

import numpy as np
import pytest

from edge_retina.int8.activation_ranges import (
    METHODS,
    Histogram,
    Range,
    choose_range,
    logit_floor,
    share_levels,
)


def counted(low: float, high: float, counts: list[int]) -> Histogram:
    return Histogram(low, high, np.array(counts))


@pytest.mark.parametrize(
    "percentile, expected",
    [
        # 1 value at either end of 1000; half of what is left out may go on each side
        (100.0, (-10.0, 10.0)),
        (99.9, (-10.0, 10.0)),  # half a value a side: too few to cut the one
        (99.6, (-1.0, 1.0)),
        (50.0, (-1.0, 1.0)),  # the bins are the finest that is known
    ],
)
def test_percentile_of_a_hand_made_histogram(percentile: float, expected: Range) -> None:
    histogram = counted(-10, 10, [1, *[0] * 8, 499, 499, *[0] * 8, 1])
    assert choose_range(histogram, "percentile", percentile=percentile) == expected
    assert choose_range(histogram, "minmax", percentile=percentile) == (-10, 10)


def test_percentile_leaves_out_the_same_share_on_both_sides() -> None:
    # of 100 values 1.5 may go on each side, or half of one
    histogram = counted(-2, 2, [1, 49, 49, 1])
    assert choose_range(histogram, "percentile", percentile=97) == (-1, 1)
    assert choose_range(histogram, "percentile", percentile=99) == (-2, 2)


@pytest.mark.parametrize("values, best", [(780_300, 5.0), (3_121_200, 2.0), (1_000, 10.0)])
def test_mse_weighs_rounding_against_cutting(values: int, best: float) -> None:
    """N values near 0 and one at 10: N h^2 / (12 * 255^2) + (10 - h)^2 is least at h.

    Its derivative is 0 where h (N / 780300 + 1) = 10. With few values nothing is worth cutting.
    """
    counts = np.zeros(10_000, np.int64)
    counts[0], counts[-1] = values, 1
    low, high = choose_range(Histogram(0.0, 10.0, counts), "mse", percentile=0)
    assert low == 0
    assert high == pytest.approx(best, abs=0.11)  # it tries steps of 0.2


def test_a_far_outlier_is_cut_by_all_but_minmax() -> None:
    rng = np.random.default_rng(0)
    values = np.append(rng.uniform(-1, 1, 2_000_000), [-8.0, 20.0])
    counts, _ = np.histogram(values, 2048, (-8.0, 20.0))
    histogram = Histogram(-8.0, 20.0, counts)
    assert choose_range(histogram, "minmax", percentile=0) == (-8, 20)
    low, high = choose_range(histogram, "percentile", percentile=99.99)
    assert (low, high) == pytest.approx((-1, 1), abs=0.03)
    low, high = choose_range(histogram, "mse", percentile=0)
    assert -8 < low <= -1
    assert 1 <= high < 10


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "low, high, expected", [(2.0, 4.0, (0, 4)), (-4.0, -2.0, (-4, 0)), (3.0, 3.0, (0, 3))]
)
def test_0_is_always_inside(method: str, low: float, high: float, expected: Range) -> None:
    found = choose_range(counted(low, high, [5, 5]), method, percentile=99.99)
    # "mse" knows no more than the middle of a bin and may cut the half behind it
    assert found == pytest.approx(expected, abs=0 if method != "mse" else 0.5)
    assert 0 in found


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("counts", [[], [0, 0, 0]])
def test_without_values_the_extremes_are_kept(method: str, counts: list[int]) -> None:
    assert choose_range(counted(-1, 3, counts), method, percentile=99) == (-1, 3)
    assert choose_range(counted(0, 0, counts), method, percentile=99) == (0, 0)


@pytest.mark.parametrize("method", ["percentile", "mse"])
def test_the_upper_end_of_logits_is_kept(method: str) -> None:
    counts = np.zeros(2000, np.int64)
    counts[0], counts[900:1100], counts[-1] = 1, 50_000, 1
    histogram = Histogram(-10.0, 10.0, counts)
    low, high = choose_range(histogram, method, percentile=99.99, keep_high=True)
    assert -10 < low <= -1
    assert high == 10
    assert choose_range(histogram, method, percentile=99.99)[1] < 10


def test_what_lies_under_a_floor_does_not_count() -> None:
    histogram = counted(-4, 4, [100, 100, 1, 1]).above(-0.5)
    np.testing.assert_array_equal(histogram.counts, [0, 0, 1, 1])
    np.testing.assert_array_equal(histogram.centres, [-3, -1, 1, 3])
    assert choose_range(histogram, "percentile", percentile=90) == (0, 4)


def test_levels_share_a_range_in_the_heads_only() -> None:
    ranges = {
        "cls_p3_conv0_relu": (0.0, 2.0),
        "cls_p4_conv0_relu": (-1.0, 1.0),
        "cls_p3_conv1_relu": (0.0, 9.0),
        "box_p3_conv0_relu": (0.0, 5.0),
        "box_p7_conv0_relu": (0.0, 4.0),
        "p3_lateral": (-1.0, 1.0),
        "p4_lateral": (-7.0, 7.0),
        "block_3_add": (-3.0, 3.0),
    }
    assert share_levels(ranges) == ranges | {
        "cls_p3_conv0_relu": (-1.0, 2.0),
        "cls_p4_conv0_relu": (-1.0, 2.0),
        "box_p7_conv0_relu": (0.0, 5.0),
    }
    assert share_levels({}) == {}


@pytest.mark.parametrize(
    "score_threshold, floor",
    [
        (0.5, -0.5),
        (0.05, -2.9444 - 0.5),  # log(.05 / .95)
        (0.0, -6.9068 - 0.5),  # never below a score of one in a thousand
        (0.9, -0.5),  # nor above one half, so that a client may lower nothing
    ],
)
def test_logit_floor(score_threshold: float, floor: float) -> None:
    assert logit_floor(score_threshold) == pytest.approx(floor, abs=1e-4)
