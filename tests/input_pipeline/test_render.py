from __future__ import annotations

import numpy as np
import pytest

from edge_retina.config import AugmentationConfig
from edge_retina.input_pipeline.augment import augment
from edge_retina.input_pipeline.geometry import box_growth, move_boxes
from edge_retina.input_pipeline.render import render, warp
from edge_retina.runtime.image import stretch
from tests.input_pipeline.samples import black, draw_from, sample_of, soft_image


@pytest.mark.parametrize("source_hw", [(120, 200), (97, 131), (64, 96), (40, 50)])
def test_without_changes_images_are_stretched(source_hw: tuple[int, int]):
    boxes_px = np.array([(10, 20, 40, 50), (0, 0, *source_hw)], np.float32)
    sample = sample_of(soft_image(source_hw), *boxes_px)
    found = render(sample, (64, 96), min_visible=1)
    assert found.image_rgb.dtype == np.uint8
    # warpAffine counts in 32nds of a pixel
    difference = found.image_rgb.astype(int) - stretch(sample.image_rgb, (64, 96))
    assert np.abs(difference).max() <= 2
    scale = np.array([64 / source_hw[0], 96 / source_hw[1]] * 2)
    np.testing.assert_allclose(found.boxes_px, boxes_px * scale, atol=1e-4)
    assert found.classes.tolist() == [0, 1]
    assert not found.ignored.any()


def test_a_rendered_sample_has_no_changes_left():
    sample = sample_of(soft_image((40, 60)), (5, 5, 20, 30))
    sample = sample.transform(np.diag([0.5, 0.7, 1])).recolour(np.diag([0.5, 1, 1, 1]))
    once = render(sample, (64, 96), min_visible=0)
    twice = render(once, (64, 96), min_visible=0)
    np.testing.assert_array_equal(twice.image_rgb, once.image_rgb)
    np.testing.assert_allclose(twice.boxes_px, once.boxes_px, atol=1e-5)


@pytest.mark.parametrize(
    "shift, visible, box",
    [
        ((0, 0), 1.0, (0, 0, 10, 10)),
        ((-4, 0), 0.6, (0, 0, 10, 6)),
        ((-4, -5), 0.3, (0, 0, 5, 6)),
        ((-10, 0), 0.0, (0, 0, 10, 0)),  # beside the border
        ((15, 15), 0.25, (15, 15, 20, 20)),
        ((99, 99), 0.0, (20, 20, 20, 20)),
    ],
)
def test_visible_share(shift: tuple[float, float], visible: float, box: tuple[float, ...]):
    matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], float)
    (found,), (share,) = move_boxes(np.array([(0.0, 0, 10, 10)]), matrix, (20, 20))
    np.testing.assert_allclose(found, box, atol=1e-6)
    assert share == pytest.approx(visible)


@pytest.mark.parametrize(
    "min_visible, ignored", [(0.0, False), (0.25, False), (0.26, True), (1.0, True)]
)
def test_objects_mostly_cut_off_are_ignored(min_visible: float, ignored: bool):
    """At twice the size, a quarter of the second box is left, and nothing of the first."""
    sample = sample_of(black(20, 20), (0, 0, 4, 4), (2, 2, 8, 8))
    found = render(sample.transform(np.diag([2, 2, 1])), (20, 20), min_visible=min_visible)
    np.testing.assert_allclose(found.boxes_px, [(0, 0, 6, 6)], atol=1e-6)
    assert found.classes.tolist() == [1]
    assert found.ignored.tolist() == [ignored]


def test_no_boxes():
    found = render(sample_of(black(10, 10)), (20, 20), min_visible=0.3)
    assert found.boxes_px.shape == (0, 4)
    assert found.ignored.shape == (0,)


def test_outside_the_image_is_mid_grey():
    white = np.full((20, 20, 3), 255, np.uint8)
    image = warp(white, np.array([[1.0, 0, 10], [0, 1, 0]]), (20, 20))
    assert (image[:, :10] == 128).all()
    assert (image[:, 10:] == 255).all()


@pytest.mark.parametrize("degrees", [3, 45, 100, 170, -60])
def test_outside_a_rotated_image_is_grey(degrees: float):
    """A pixel is outside when its centre is, found by turning it back."""
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    rotated = sample_of(np.full((60, 80, 3), 255, np.uint8)).transform(
        np.block([[turn, np.zeros((2, 1))], [0, 0, 1]])
    )
    image = render(rotated, (60, 80), min_visible=0).image_rgb
    y, x = np.mgrid[:60, :80] + 0.5
    source = np.stack([x - 40, y - 30], axis=-1) @ turn  # the inverse of turn is its transpose
    depth = np.min([40, 30] - np.abs(source), axis=-1)
    near = np.abs(depth) < 0.01  # the centre is on the edge, but for rounding
    want = np.where(depth > 0, 255, 128)[..., None]
    assert (near | (image == want).all(axis=-1)).all()
    assert (image == 128).any()


def test_the_callers_arrays_stay_as_they_were():
    sample = sample_of(soft_image((50, 60)), (5, 5, 30, 40))
    image, boxes = sample.image_rgb.copy(), sample.boxes_px.copy()
    settings = AugmentationConfig(vertical_flip=1, transpose=1)
    augment(sample, draw_from(settings), image_hw=(32, 32))
    np.testing.assert_array_equal(sample.image_rgb, image)
    np.testing.assert_array_equal(sample.boxes_px, boxes)


@pytest.mark.parametrize(
    "degrees, box, want",
    [
        (0, (0, 0, 10, 20), 1.0),
        (90, (0, 0, 10, 20), 1.0),
        (45, (0, 0, 10, 10), 1.0),  # as a circle's
        (45, (0, 0, 10, 20), 1.25),  # half-axes 5 and 10: (5^2 + 10^2) / (2 * 5 * 10)
    ],
)
def test_how_much_a_box_grows(degrees: float, box: tuple[float, ...], want: float):
    """Stretching it to three times the width is not growing."""
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0]])
    (found,) = box_growth(np.array([box], np.float32), np.diag([3.0, 1.0]) @ turn)
    assert found == pytest.approx(want)
