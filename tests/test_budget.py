from __future__ import annotations

import itertools

import pytest

from edge_retina.budget import budget_steps


@pytest.mark.parametrize(
    "images, batch_size, steps",
    [
        (0, 8, 4000),
        (202, 8, 4000),
        (202, 16, 2000),  # as many pictures
        (439, 8, 4800),  # 24 * (20000 / 439) ** (1 / 3) = 85.7 epochs: 4,702 steps
        (2_500, 8, 15_000),  # 48 epochs, twice those of 8 times as many pictures
        (20_000, 8, 60_000),  # 24 epochs
        (20_000, 16, 30_000),
        (160_000, 16, 120_000),  # 12 epochs
        (1_600_000, 16, 1_200_000),  # and no fewer
        (202, 4096, 100),
    ],
)
def test_the_budget_by_hand(images: int, batch_size: int, steps: int):
    assert budget_steps(images, batch_size) == steps


def test_more_pictures_never_get_fewer_steps_and_never_more_epochs():
    sizes = [int(10 * 1.1**n) for n in range(150)]
    steps = [budget_steps(images, 8) for images in sizes]
    assert steps == sorted(steps)
    epochs = [8 * s / images for s, images in zip(steps, sizes, strict=True)]
    assert all(b < a * 1.05 for a, b in itertools.pairwise(epochs))
