from __future__ import annotations

import dataclasses
import math
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from edge_retina.config import AugmentationConfig
from edge_retina.input_pipeline.augment import (
    augment,
    change_colours,
    move_boxes,
    random_affine,
    random_colours,
    stretch_matrix,
    warp,
)
from edge_retina.runtime.image import stretch

OFF = AugmentationConfig(
    horizontal_flip=0,
    vertical_flip=0,
    transpose=0,
    scale=(1, 1),
    aspect=0,
    translate=0,
    min_visible=0,
    brightness=0,
    contrast=0,
    saturation=0,
    hue=0,
)
IDENTITY = np.column_stack([np.eye(3), np.zeros(3)])


def having(**changes: object) -> AugmentationConfig:
    return dataclasses.replace(OFF, **changes)


def soft_picture(image_hw: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Random colours without sharp edges, where a 32nd of a pixel matters little."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 6, 3)).astype(np.uint8)
    return cv2.resize(coarse, image_hw[::-1], interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("source_hw", [(120, 200), (97, 131), (64, 96)])
def test_settings_that_change_nothing_stretch(source_hw: tuple[int, int]):
    picture = soft_picture(source_hw)
    boxes_px = np.array([(10, 20, 40, 50), (0, 0, *source_hw)], np.float32)
    image, boxes, keep, ignored = augment(
        picture, boxes_px, image_hw=(64, 96), settings=OFF, rng=np.random.default_rng(0)
    )
    assert image.dtype == np.uint8
    # warpAffine counts in 32nds of a pixel
    assert np.abs(image.astype(int) - stretch(picture, (64, 96))).max() <= 2
    scale = np.array([64 / source_hw[0], 96 / source_hw[1]] * 2)
    np.testing.assert_allclose(boxes, boxes_px * scale, atol=1e-4)
    assert keep.all()
    assert not ignored.any()


def test_enlarging_stretches_up_to_the_border():
    picture = soft_picture((40, 50))
    image, *_ = augment(
        picture,
        np.zeros((0, 4), np.float32),
        image_hw=(64, 96),
        settings=OFF,
        rng=np.random.default_rng(0),
    )
    assert np.abs(image.astype(int) - stretch(picture, (64, 96))).max() <= 2


@pytest.mark.parametrize(
    "changes, box",
    [
        ({}, (5, 10, 20, 30)),
        ({"horizontal_flip": 1}, (5, 70, 20, 90)),
        ({"vertical_flip": 1}, (30, 10, 45, 30)),
        ({"horizontal_flip": 1, "vertical_flip": 1}, (30, 70, 45, 90)),
        ({"transpose": 1}, (0, 30, 5, 45)),  # (-30, 60, 10, 90) in the source, then cut
        ({"scale": (2, 2)}, (0, 0, 15, 10)),  # about the centre (25, 50), then cut
        ({"scale": (0.5, 0.5)}, (15, 30, 22.5, 40)),
    ],
)
def test_boxes_by_hand(changes: dict[str, object], box: tuple[float, ...]):
    """A 100 x 200 picture at 50 x 100: the box is (5, 10, 20, 30) before the change."""
    matrix = random_affine((100, 200), (50, 100), having(**changes), np.random.default_rng(0))
    boxes, _ = move_boxes(np.array([(10.0, 20, 40, 60)]), matrix, (50, 100))
    np.testing.assert_allclose(boxes[0], box, atol=1e-4)


@pytest.mark.parametrize("image_hw", [(256, 256), (192, 320)])
def test_a_circle_keeps_its_shape_when_transposed(image_hw: tuple[int, int]):
    circle = np.array([(200.0, 300, 260, 360)])

    def size(transpose: float) -> np.ndarray:
        settings = having(transpose=transpose)
        matrix = random_affine((480, 640), image_hw, settings, np.random.default_rng(0))
        ((y0, x0, y1, x1),), _ = move_boxes(circle, matrix, image_hw)
        return np.array([y1 - y0, x1 - x0])

    want = np.array([60 * image_hw[0] / 480, 60 * image_hw[1] / 640])
    np.testing.assert_allclose(size(0), want, rtol=1e-5)
    np.testing.assert_allclose(size(1), want, rtol=1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {"horizontal_flip": 0.5},
        {"vertical_flip": 0.5},
        {"transpose": 0.5},
        {"scale": (0.5, 2.0)},
        {"aspect": 0.5},
        {"translate": 0.4},
        {
            "horizontal_flip": 0.5,
            "vertical_flip": 0.5,
            "transpose": 0.5,
            "scale": (0.7, 1.4),
            "aspect": 0.2,
            "translate": 0.2,
        },
    ],
    ids=lambda changes: "+".join(changes),
)
def test_boxes_stay_on_their_objects(changes: dict[str, object]):
    image_hw = (120, 160)
    rng = np.random.default_rng(0)
    seen = 0
    for _ in range(50):
        y, x = rng.integers(5, 100), rng.integers(5, 180)
        box = np.array([(y, x, y + rng.integers(25, 60), x + rng.integers(25, 80))], np.float32)
        picture = np.zeros((180, 280, 3), np.uint8)
        y0, x0, y1, x1 = box[0].astype(int)
        picture[y0:y1, x0:x1] = 255
        image, (moved,), (keep,), _ = augment(
            picture, box, image_hw=image_hw, settings=having(**changes), rng=rng
        )
        bright = image[..., 0] > 150  # above the 128 that fills up places outside the picture
        rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
        if not keep or min(moved[2:] - moved[:2]) < 2:
            assert len(rows) <= 3 or len(columns) <= 3
            continue
        extent = (rows[0], columns[0], rows[-1] + 1, columns[-1] + 1)
        np.testing.assert_allclose(moved, extent, atol=1.5)
        seen += 1
    assert seen > 25


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
    np.testing.assert_allclose(found, box)
    assert share == pytest.approx(visible)


@pytest.mark.parametrize(
    "min_visible, ignored", [(0.0, False), (0.25, False), (0.26, True), (1.0, True)]
)
def test_objects_mostly_cut_off_are_ignored(min_visible: float, ignored: bool):
    """At twice the size, a quarter of the box in the corner is left, and nothing of the other."""
    boxes = np.array([(2.0, 2, 8, 8), (0, 0, 4, 4)])
    _, moved, keep, found = augment(
        soft_picture((20, 20)),
        boxes,
        image_hw=(20, 20),
        settings=having(scale=(2, 2), min_visible=min_visible),
        rng=np.random.default_rng(0),
    )
    np.testing.assert_allclose(moved[0], (0, 0, 6, 6), atol=1e-6)
    assert keep.tolist() == [True, False]
    assert found[0] == ignored


def test_no_boxes():
    boxes, visible = move_boxes(
        np.zeros((0, 4), np.float32), stretch_matrix((10, 10), (20, 20)), (20, 20)
    )
    assert boxes.shape == (0, 4)
    assert visible.shape == (0,)


def test_outside_the_picture_is_the_grey_that_the_network_sees_as_0():
    picture = np.full((20, 20, 3), 255, np.uint8)
    image = warp(picture, np.array([[1.0, 0, 10], [0, 1, 0]]), (20, 20))
    assert (image[:, :10] == 128).all()
    assert (image[:, 10:] == 255).all()


def test_the_callers_arrays_stay_as_they_were():
    picture, boxes = soft_picture((50, 60)), np.array([(5, 5, 30, 40)], np.float32)
    before = picture.copy(), boxes.copy()
    settings = AugmentationConfig(vertical_flip=1, transpose=1)
    augment(picture, boxes, image_hw=(32, 32), settings=settings, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(picture, before[0])
    np.testing.assert_array_equal(boxes, before[1])


def test_the_generator_decides():
    picture, boxes = soft_picture((50, 60)), np.array([(5, 5, 30, 40)], np.float32)

    def draw(seed: int) -> np.ndarray:
        return augment(
            picture,
            boxes,
            image_hw=(32, 32),
            settings=AugmentationConfig(),
            rng=np.random.default_rng(seed),
        )[0]

    np.testing.assert_array_equal(draw(1), draw(1))
    assert (draw(1) != draw(2)).any()


def colours(draw: float, **changes: object) -> np.ndarray:
    """The colour map when every draw from -1..1 gives `draw`."""
    return random_colours(having(**changes), SimpleNamespace(uniform=lambda low, high: draw))


def pixel(matrix: np.ndarray, *rgb: int) -> list[int]:
    return change_colours(np.array([[rgb]], np.uint8), matrix)[0, 0].tolist()


@pytest.mark.parametrize(
    "draw, changes, before, after",
    [
        (1, {}, (10, 20, 250), (10, 20, 250)),
        (1, {"brightness": 0.1}, (0, 100, 250), (26, 126, 255)),  # 25.5 more, saturating
        (-1, {"brightness": 0.1}, (0, 101, 250), (0, 76, 224)),
        (1, {"contrast": 0.5}, (128, 28, 168), (128, 0, 188)),  # about the grey of 128
        (-1, {"contrast": 0.5}, (128, 28, 168), (128, 78, 148)),
        (-1, {"saturation": 1}, (200, 100, 50), (124, 124, 124)),  # BT.601: 59.8 + 58.7 + 5.7
        (1, {"hue": 1 / 3}, (200, 0, 0), (0, 200, 0)),  # a third of the circle: red is green
        (-1, {"hue": 1 / 3}, (200, 0, 0), (0, 0, 200)),
    ],
)
def test_colours_by_hand(
    draw: float, changes: dict[str, object], before: tuple[int, ...], after: tuple[int, ...]
):
    np.testing.assert_allclose(pixel(colours(draw, **changes), *before), after, atol=1)


def test_colours_that_are_off_leave_the_picture():
    picture = soft_picture((20, 30))
    np.testing.assert_array_equal(change_colours(picture, IDENTITY), picture)
    matrix = random_colours(OFF, np.random.default_rng(0))
    np.testing.assert_allclose(matrix, IDENTITY, atol=1e-12)


@pytest.mark.parametrize("changes", [{"hue": 0.5}, {"saturation": 1.0}])
def test_hue_and_saturation_leave_grey(changes: dict[str, object]):
    rng = np.random.default_rng(0)
    grey = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    for _ in range(20):
        changed = change_colours(grey, random_colours(having(**changes), rng))
        np.testing.assert_allclose(changed.astype(int), grey, atol=1)


def test_zoom_and_aspect_stay_in_their_ranges():
    settings = having(scale=(0.5, 2.0), aspect=0.2)
    rng = np.random.default_rng(0)
    scales = []
    for _ in range(500):
        matrix = random_affine((10, 10), (10, 10), settings, rng)
        scales.append((matrix[1, 1], matrix[0, 0]))
    high, wide = np.array(scales).T
    zoom, aspect = np.sqrt(high * wide), high / wide
    assert 0.5 <= zoom.min() < 0.52
    assert 1.92 < zoom.max() <= 2.0
    assert np.mean(np.log(zoom)) == pytest.approx(0, abs=0.05)  # log-uniform
    assert 1 / 1.2 <= aspect.min() < 0.85
    assert 1.18 < aspect.max() <= 1.2 + 1e-9
    assert math.isclose(np.mean(np.log(aspect)), 0, abs_tol=0.02)
