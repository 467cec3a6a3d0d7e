from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_retina.datasets.schema import Example
from edge_retina.input_pipeline.repeat_factors import draw_repeats, epoch_length, repeat_factors


def example(*classes: int, ignored: tuple[int, ...] = ()) -> Example:
    """An image with objects of these classes, and of others that are crowds."""
    everything = (*classes, *ignored)
    return Example(
        "x.png",
        Path("x.png"),
        (10, 10),
        np.tile(np.array([1, 1, 5, 5], np.float32), (len(everything), 1)),
        np.array(everything, np.int32),
        np.array([False] * len(classes) + [True] * len(ignored), bool),
    )


# Of 16 images 13 have class 0, two class 1 and one class 2, whose crowd elsewhere doesn't count.
SIXTEEN = [*[example(0, 0, 0)] * 12, example(1), example(1, 2, 0), example(), example(ignored=(2,))]


@pytest.mark.parametrize(
    "threshold, common, rare, rarest",
    [
        (0.0, 1, 1, 1),
        (0.0625, 1, 1, 1),  # 1 of 16 is just enough
        (0.25, 1, 2**0.5, 2),  # sqrt(1/4 * 16/2), sqrt(1/4 * 16)
        (0.5, 1, 2, 8**0.5),
        (1.0, (16 / 13) ** 0.5, 8**0.5, 4),  # class 0 is in 13
    ],
)
def test_factors_by_hand(threshold: float, common: float, rare: float, rarest: float):
    expected = [*[common] * 12, rare, rarest, 1, 1]  # the highest of an image's classes
    np.testing.assert_allclose(repeat_factors(SIXTEEN, threshold), expected)


def test_no_images_and_no_objects():
    assert repeat_factors([], 0.5).tolist() == []
    assert repeat_factors([example()] * 3, 0.5).tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    "factors, length",
    [([1, 1, 1], 3), ([1, 2, 1.5], 5), ([2, 2], 4), ([4 / 3] * 3, 4)],
)
def test_the_length_of_an_epoch(factors: list[float], length: int):
    assert epoch_length(np.array(factors)) == length


def test_repeats_are_the_factors_on_average_and_never_far_from_them():
    factors = np.array([1.0, 1.25, 2.5, 1.0, 3.25])
    rng = np.random.default_rng(0)
    drawn = np.stack([draw_repeats(factors, rng) for _ in range(4000)])
    assert set(drawn.sum(axis=1)) == {9}
    np.testing.assert_array_equal(drawn.min(axis=0), [1, 1, 2, 1, 3])
    np.testing.assert_array_equal(drawn.max(axis=0), [1, 2, 3, 1, 4])
    np.testing.assert_allclose(drawn.mean(axis=0), factors, atol=0.03)


def test_without_repeats_nothing_is_drawn():
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    assert draw_repeats(np.ones(4), rng).tolist() == [1, 1, 1, 1]
    assert rng.bit_generator.state == before
