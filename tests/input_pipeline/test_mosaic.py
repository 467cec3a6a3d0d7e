from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest

from edge_retina.config import AugmentationConfig
from edge_retina.input_pipeline.augment import augment
from edge_retina.input_pipeline.augmentation import Draw
from edge_retina.input_pipeline.augmentations.mosaic import mosaic
from edge_retina.input_pipeline.sample import Sample
from tests.input_pipeline.samples import black, having, sample_of


def fixed(settings: AugmentationConfig, *, zoom_out: bool, another: Callable[..., Sample]) -> Draw:
    """The four meet in the middle; zoomed out as far as possible or not at all; left and top."""

    def uniform(low: float, high: float) -> float:
        if (low, high) == (0.3, 0.7):
            return 0.5
        return low if zoom_out else high

    rng = SimpleNamespace(uniform=uniform, random=lambda size=None: np.zeros(size) if size else 0.0)
    return Draw(settings, rng, another)


def test_four_whole_images_by_hand():
    """100 x 200 each, the others of half that size: all at a half of the first's size."""
    first = sample_of(black(100, 200), (10, 20, 40, 60))
    draw = fixed(
        having(mosaic=1),
        zoom_out=True,
        another=lambda _: sample_of(np.full((50, 100, 3), 255, np.uint8), (5, 10, 20, 30)),
    )
    found = mosaic(first, draw)
    assert found.image_hw == (100, 200)
    np.testing.assert_allclose(
        found.boxes_px,
        [(5, 10, 20, 30), (5, 110, 20, 130), (55, 10, 70, 30), (55, 110, 70, 130)],
        atol=1e-4,
    )
    assert found.visible.tolist() == pytest.approx([1] * 4)
    image = found.image_rgb
    assert (image[:50, :100] == 0).all()
    assert (image[50:] == 255).all()
    assert (image[:, 100:] == 255).all()


def test_what_a_rectangle_cuts_counts_as_cut():
    """At full size, 10 x 20 px of 20 x 40 are inside the first rectangle: a quarter."""
    first = sample_of(black(100, 200), (40, 80, 60, 120), (0, 0, 10, 10), (60, 0, 70, 10))
    draw = fixed(
        having(mosaic=1, min_visible=0.3),
        zoom_out=False,
        another=lambda _: sample_of(black(100, 200)),
    )
    found = augment(first, draw, image_hw=(100, 200))
    np.testing.assert_allclose(found.boxes_px, [(40, 80, 50, 100), (0, 0, 10, 10)], atol=1e-4)
    assert found.visible.tolist() == pytest.approx([0.25, 1])
    assert found.ignored.tolist() == [True, False]
    assert found.classes.tolist() == [0, 1]


def test_boxes_stay_on_their_objects_and_no_pixel_is_outside():
    rng = np.random.default_rng(0)

    def bright(_: object = None) -> Sample:
        height, width = rng.integers(60, 140, 2)
        y, x = rng.integers(0, height - 30), rng.integers(0, width - 30)
        image = np.full((height, width, 3), 50, np.uint8)
        image[y : y + 30, x : x + 30] = 255
        return sample_of(image, (y, x, y + 30, x + 30))

    draw = Draw(having(mosaic=1), rng, bright)
    seen = 0
    for _ in range(40):
        found = mosaic(bright(), draw)
        image = found.image_rgb[..., 0]
        assert set(np.unique(image)) <= set(range(50, 256))
        painted = np.zeros(found.image_hw, bool)
        for y0, x0, y1, x1 in np.rint(found.boxes_px).astype(int):
            painted[y0:y1, x0:x1] = True
            seen += 1
        wrong = painted != (image > 150)
        assert wrong.sum() <= 2 * 2 * (30 + 30) * 1.5  # a pixel beside the edges at the most
        assert wrong.mean() < 0.02
    assert seen > 80
