from __future__ import annotations

import numpy as np
import pytest

from edge_retina.evaluation.matches import Matches
from edge_retina.evaluation.significance import is_better, resampled_difference
from tests.evaluation.one_class import first, found_in


@pytest.mark.parametrize(
    "one, other, pictures, comparisons, better",
    [
        (60, 30, 60, 1, True),
        (30, 60, 60, 1, False),
        (30, 30, 60, 1, False),
        (31, 30, 60, 1, False),  # one picture more may be luck
        (34, 30, 60, 1, True),  # 4 of 60 with a standard error of 1.9: 2.1 of them, 1.6 needed
        (34, 30, 60, 10, False),  # the best of ten needs 2.6
        (1, 0, 1, 1, False),  # a single picture tells nothing
        (2, 0, 2, 1, True),
    ],
)
def test_is_better(one: int, other: int, pictures: int, comparisons: int, better: bool):
    found = is_better(first(one, pictures), first(other, pictures), comparisons=comparisons)
    assert found == better


def test_the_error_is_the_spread_over_many_splits():
    rng = np.random.default_rng(0)
    pictures, both, one_alone, other_alone = 80, 0.5, 0.15, 0.1

    def draw() -> tuple[Matches, Matches]:
        kind = rng.random(pictures)
        one = kind < both + one_alone
        other = (kind < both) | (kind > 1 - other_alone)
        return found_in(one), found_in(other)

    splits = [draw() for _ in range(300)]
    spread = np.std([one.mAP() - other.mAP() for one, other in splits])
    estimates = [resampled_difference(*pair)[1] for pair in splits[:20]]
    assert np.mean(estimates) == pytest.approx(spread, rel=0.15)


def test_what_is_hard_for_both_is_no_noise():
    """The two differ in 4 pictures; how many of the other 56 they both find doesn't matter."""
    _, easy = resampled_difference(first(60, 60), first(56, 60))
    _, hard = resampled_difference(first(34, 60), first(30, 60))
    assert hard == pytest.approx(easy, rel=0.25)


def test_the_difference_does_not_jump_with_the_recalls_that_are_read():
    """120 of 200 are a recall of .60, at which precision is read; 119 of 200 miss it."""
    one, other = first(120, 200), first(119, 200)
    assert one.mAP() - other.mAP() == pytest.approx(1 / 101)
    difference, error = resampled_difference(one, other)
    assert difference == pytest.approx(1 / 200, rel=0.3)
    assert error == pytest.approx(
        1 / 200, rel=0.3
    )  # Poisson: the picture is drawn 0, 1, 2 ... times


def test_it_is_the_same_each_time():
    pair = first(40, 60), first(36, 60)
    assert resampled_difference(*pair) == resampled_difference(*pair)
    assert resampled_difference(*pair, seed=1) != resampled_difference(*pair)
