"""A part of a split: the same images everywhere."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from edge_retina.datasets.schema import Example
from edge_retina.datasets.subset import draw_subset, spread

EXPECTED = ["1.jpg", "2.jpg", "4.jpg"]


def examples(count: int) -> list[Example]:
    nothing = np.zeros(0, np.int32)
    return [
        Example(f"{i}.jpg", Path(f"{i}.jpg"), (8, 8), np.zeros((0, 4)), nothing, nothing > 0)
        for i in range(count)
    ]


def names(drawn: tuple[Example, ...]) -> list[str]:
    return [example.image_id for example in drawn]


def test_the_draw_is_the_same_on_every_machine() -> None:
    """By the SHA-256 of the names, which `sha256sum` gives too."""
    assert names(draw_subset(examples(10), 3, seed=0)) == EXPECTED
    backwards = examples(10)[::-1]
    assert names(draw_subset(backwards, 3, seed=0)) == EXPECTED[::-1]


def test_a_smaller_draw_is_a_part_of_a_larger_one() -> None:
    drawn = [set(names(draw_subset(examples(50), count, seed=0))) for count in range(1, 51)]
    assert [len(some) for some in drawn] == list(range(1, 51))
    assert all(small < large for small, large in itertools.pairwise(drawn))


def test_another_seed_draws_others() -> None:
    drawn = [set(names(draw_subset(examples(100), 50, seed=seed))) for seed in range(8)]
    shared = [len(drawn[0] & other) for other in drawn[1:]]
    assert 15 < np.mean(shared) < 35


@pytest.mark.parametrize("count", [0, 4, 5])
def test_all(count: int) -> None:
    assert names(draw_subset(examples(4), count, seed=0)) == names(tuple(examples(4)))


def test_of_nothing() -> None:
    assert draw_subset([], 3, seed=0) == ()


@pytest.mark.parametrize(
    "most, kept", [(3, [0, 3, 6]), (10, list(range(10))), (99, list(range(10)))]
)
def test_a_choice_is_spread_over_all(most: int, kept: list[int]) -> None:
    everything = examples(10)
    assert spread(everything, most) == tuple(everything[place] for place in kept)
