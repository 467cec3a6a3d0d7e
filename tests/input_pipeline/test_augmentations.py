from __future__ import annotations

import math
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from edge_retina.config import AugmentationConfig
from edge_retina.input_pipeline.augment import augment
from edge_retina.input_pipeline.augmentation import Augmentation, Draw
from edge_retina.input_pipeline.augmentations.aspect import aspect
from edge_retina.input_pipeline.augmentations.scale import scale
from edge_retina.input_pipeline.augmentations.table import AUGMENTATIONS
from edge_retina.input_pipeline.render import render
from edge_retina.input_pipeline.sample import Picture, Sample
from tests.input_pipeline.samples import OFF, black, draw_from, having, sample_of


@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_what_is_off_changes_nothing_and_draws_nothing(augmentation: Augmentation):
    draw = draw_from(OFF)
    before = draw.rng.bit_generator.state
    sample = augmentation(sample_of(black(10, 20), (1, 2, 3, 4)), draw)
    np.testing.assert_allclose(sample.affine, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(sample.colours, np.eye(4), atol=1e-12)
    np.testing.assert_array_equal(sample.boxes_px, [(1, 2, 3, 4)])
    assert sample.pixel_steps == ()
    assert draw.rng.bit_generator.state == before


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
    """A 100 x 200 image at 50 x 100: the box is (5, 10, 20, 30) before the change."""
    sample = sample_of(black(100, 200), (10, 20, 40, 60))
    found = augment(sample, draw_from(having(**changes)), image_hw=(50, 100))
    np.testing.assert_allclose(found.boxes_px[0], box, atol=1e-4)


@pytest.mark.parametrize("image_hw", [(256, 256), (192, 320)])
def test_a_circle_keeps_its_shape_when_transposed(image_hw: tuple[int, int]):
    circle = sample_of(black(480, 640), (200, 300, 260, 360))

    def size(transpose: float) -> np.ndarray:
        draw = draw_from(having(transpose=transpose))
        ((y0, x0, y1, x1),) = augment(circle, draw, image_hw=image_hw).boxes_px
        return np.array([y1 - y0, x1 - x0])

    want = np.array([60 * image_hw[0] / 480, 60 * image_hw[1] / 640])
    np.testing.assert_allclose(size(0), want, rtol=1e-5)
    np.testing.assert_allclose(size(1), want, rtol=1e-5)


@pytest.mark.parametrize(
    "degrees, box, want",
    [
        (90, (10, 20, 40, 60), (20, 60, 60, 90)),  # x = 100 - y, y = x
        (180, (10, 20, 40, 60), (60, 40, 90, 80)),
        # A circle keeps its box: from the centre (50, 70) to 50 + 20 / sqrt(2) = 64.142.
        (45, (40, 60, 60, 80), (54.142, 54.142, 74.142, 74.142)),
        # Half-axes 20 and 10: sqrt((20^2 + 10^2) / 2) = 15.811; the corners would reach 21.213.
        (45, (30, 40, 70, 60), (34.189, 34.189, 65.811, 65.811)),
    ],
)
def test_rotated_boxes_by_hand(degrees: float, box: tuple[float, ...], want: tuple[float, ...]):
    draw = extreme(having(rotation=degrees), up=True)
    found = augment(sample_of(black(100, 100), box), draw, image_hw=(100, 100))
    np.testing.assert_allclose(found.boxes_px[0], want, atol=1e-3)


@pytest.mark.parametrize("image_hw", [(256, 256), (192, 320)])
def test_a_circle_keeps_its_shape_when_rotated(image_hw: tuple[int, int]):
    circle = sample_of(black(480, 640), (200, 300, 260, 360))
    want = (60 * image_hw[0] / 480, 60 * image_hw[1] / 640)
    draw = draw_from(having(rotation=180))
    for _ in range(20):
        ((y0, x0, y1, x1),) = augment(circle, draw, image_hw=image_hw).boxes_px
        np.testing.assert_allclose((y1 - y0, x1 - x0), want, rtol=1e-4)


def test_rotated_boxes_stay_on_ellipses():
    rng = np.random.default_rng(0)
    draw = draw_from(
        having(
            rotation=180,
            shear=10,
            scale=(0.6, 1.2),
            aspect=0.3,
            transpose=0.5,
            horizontal_flip=0.5,
            crop=0.3,
        )
    )
    seen = 0
    for _ in range(60):
        half = rng.integers(12, 40, 2)
        centre = rng.integers(40, 140), rng.integers(40, 240)
        image = black(180, 280)
        cv2.ellipse(image, centre[::-1], half[::-1].tolist(), 0, 0, 360, (255, 255, 255), -1)
        # OpenCV draws about pixel centres.
        box = (*(centre - half), *(centre + half + 1))
        sample = augment(sample_of(image, box), draw, image_hw=(120, 160))
        if not len(sample.boxes_px):
            continue
        y0, x0, y1, x1 = sample.boxes_px[0]
        if min(y0, x0) < 1 or y1 > 119 or x1 > 159:  # what is cut is no ellipse any more
            continue
        bright = sample.image_rgb[..., 0] > 150
        rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
        extent = (rows[0], columns[0], rows[-1] + 1, columns[-1] + 1)
        np.testing.assert_allclose(sample.boxes_px[0], extent, atol=1.5)
        seen += 1
    assert seen > 25


@pytest.mark.parametrize(
    "box, half",
    [
        # tan 45 = 1: x becomes x + y, then y + (x + y). A circle: sqrt(2) and sqrt(5) times 10.
        ((40, 40, 60, 60), (22.361, 14.142)),
        # Half-axes 20 and 10 in y and x: sqrt(10^2 + 2^2 * 20^2) and sqrt(10^2 + 20^2).
        ((30, 40, 70, 60), (41.231, 22.361)),
    ],
)
def test_sheared_boxes_by_hand(box: tuple[float, ...], half: tuple[float, float]):
    draw = extreme(having(shear=45), up=True)
    found = augment(sample_of(black(100, 100), box), draw, image_hw=(100, 100))
    y, x = half
    np.testing.assert_allclose(found.boxes_px[0], (50 - y, 50 - x, 50 + y, 50 + x), atol=1e-3)


def test_an_object_rotated_out_of_the_image_is_ignored():
    """At the right edge of an image 100 high and 200 wide; a quarter turn puts it below."""
    sample = sample_of(black(100, 200), (40, 135, 60, 155), (40, 160, 60, 180))
    draw = extreme(having(rotation=90, min_visible=0.8), up=True)
    found = augment(sample, draw, image_hw=(100, 200))
    # The first reaches from y = 85 to 105, the second from 110 on.
    np.testing.assert_allclose(found.boxes_px, [(85, 90, 100, 110)], atol=1e-3)
    assert found.ignored.tolist() == [True]


@pytest.mark.parametrize(
    "changes",
    [
        {"horizontal_flip": 0.5},
        {"vertical_flip": 0.5},
        {"transpose": 0.5},
        {"scale": (0.5, 2.0)},
        {"aspect": 0.5},
        {"translate": 0.4},
        {"crop": 1.0},
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
    rng = np.random.default_rng(0)
    draw = draw_from(having(**changes))
    seen = 0
    for _ in range(50):
        y, x = rng.integers(5, 100), rng.integers(5, 180)
        box = (y, x, y + rng.integers(25, 60), x + rng.integers(25, 80))
        image = black(180, 280)
        image[box[0] : box[2], box[1] : box[3]] = 255
        sample = augment(sample_of(image, box), draw, image_hw=(120, 160))
        bright = sample.image_rgb[..., 0] > 150  # above the 128 outside the image
        rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
        if not len(sample.boxes_px) or np.ptp(sample.boxes_px.reshape(2, 2), axis=0).min() < 2:
            assert len(rows) <= 3 or len(columns) <= 3
            continue
        extent = (rows[0], columns[0], rows[-1] + 1, columns[-1] + 1)
        np.testing.assert_allclose(sample.boxes_px[0], extent, atol=1.5)
        seen += 1
    assert seen > 25


def test_zoom_and_aspect_stay_in_their_ranges():
    draw = draw_from(having(scale=(0.5, 2.0), aspect=0.2))
    scales = []
    for _ in range(500):
        sample = aspect(scale(sample_of(black(10, 10)), draw), draw)
        scales.append((sample.affine[1, 1], sample.affine[0, 0]))
    high, wide = np.array(scales).T
    zoom, ratio = np.sqrt(high * wide), high / wide
    assert 0.5 <= zoom.min() < 0.52
    assert 1.92 < zoom.max() <= 2.0
    assert np.mean(np.log(zoom)) == pytest.approx(0, abs=0.05)  # log-uniform
    assert 1 / 1.2 <= ratio.min() < 0.85
    assert 1.18 < ratio.max() <= 1.2 + 1e-9
    assert math.isclose(np.mean(np.log(ratio)), 0, abs_tol=0.02)


def test_a_zoom_range_need_not_surround_1():
    draw = draw_from(having(scale=(2.0, 3.0)))
    zooms = [scale(sample_of(black(10, 10)), draw).affine[0, 0] for _ in range(200)]
    assert 2.0 <= min(zooms) < 2.02
    assert 2.98 < max(zooms) <= 3.0


def extreme(settings: AugmentationConfig, *, up: bool) -> Draw:
    """A draw that always gives the end of a range."""
    rng = SimpleNamespace(uniform=lambda low, high: high if up else low)
    return Draw(settings, rng, lambda _: sample_of(black(1, 1)))


def recoloured(draw: Draw, image_rgb: np.ndarray) -> np.ndarray:
    sample = sample_of(image_rgb)
    for augmentation in AUGMENTATIONS:
        sample = augmentation(sample, draw)
    return render(sample, sample.image_hw, min_visible=0).image_rgb


@pytest.mark.parametrize(
    "up, changes, before, after",
    [
        (True, {}, (10, 20, 250), (10, 20, 250)),
        (True, {"brightness": 0.1}, (0, 100, 250), (26, 126, 255)),  # 25.5 more, saturating
        (False, {"brightness": 0.1}, (0, 101, 250), (0, 76, 224)),
        (True, {"contrast": 0.5}, (128, 28, 168), (128, 0, 188)),  # about the grey of 128
        (False, {"contrast": 0.5}, (128, 28, 168), (128, 78, 148)),
        (False, {"saturation": 1}, (200, 100, 50), (124, 124, 124)),  # 59.8 + 58.7 + 5.7
        (True, {"hue": 1 / 3}, (200, 0, 0), (0, 200, 0)),  # a third of the circle: red is green
        (False, {"hue": 1 / 3}, (200, 0, 0), (0, 0, 200)),
        # contrast first: 1.5 * (88 - 128) + 128 = 68, and 25.5 more
        (True, {"brightness": 0.1, "contrast": 0.5}, (88, 88, 88), (94, 94, 94)),
    ],
)
def test_colours_by_hand(
    up: bool, changes: dict[str, object], before: tuple[int, ...], after: tuple[int, ...]
):
    image = np.array([[before]], np.uint8)
    found = recoloured(extreme(having(**changes), up=up), image)[0, 0]
    np.testing.assert_allclose(found.astype(int), after, atol=1)


@pytest.mark.parametrize("changes", [{"hue": 0.5}, {"saturation": 1.0}])
def test_hue_and_saturation_leave_grey(changes: dict[str, object]):
    draw = draw_from(having(**changes))
    grey = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    for _ in range(20):
        np.testing.assert_allclose(recoloured(draw, grey).astype(int), grey, atol=1)


def other_half(sample: Sample, draw: Draw) -> Sample:
    """An augmentation that needs a second image: the other one's right half, objects included."""
    other = draw.draw_another(draw.rng)
    half = sample.image_hw[1] // 2
    on_left, on_right = sample.boxes_px[:, 3] <= half, other.boxes_px[:, 1] >= half
    return Sample(
        Picture.of(np.concatenate([sample.image_rgb[:, :half], other.image_rgb[:, half:]], axis=1)),
        np.concatenate([sample.boxes_px[on_left], other.boxes_px[on_right]]),
        np.concatenate([sample.classes[on_left], other.classes[on_right]]),
        np.concatenate([sample.ignored[on_left], other.ignored[on_right]]),
    )


def test_an_augmentation_can_use_another_image():
    white = np.full((40, 40, 3), 255, np.uint8)
    sample = sample_of(black(40, 40), (0, 0, 10, 10), (0, 20, 10, 30))  # classes 0, 1
    other = sample_of(white, (5, 5, 15, 15), (5, 25, 15, 35))
    draw = Draw(having(horizontal_flip=1), np.random.default_rng(0), lambda _: other)
    found = augment(sample, draw, image_hw=(20, 20), augmentations=(other_half, *AUGMENTATIONS))
    assert (found.image_rgb[:, :10] == 255).all()  # the right half, mirrored with all else
    assert (found.image_rgb[:, 10:] == 0).all()
    np.testing.assert_allclose(found.boxes_px, [(0, 15, 5, 20), (2.5, 2.5, 7.5, 7.5)], atol=1e-5)
    assert found.classes.tolist() == [0, 1]
