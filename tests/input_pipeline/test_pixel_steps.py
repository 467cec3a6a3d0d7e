from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge_retina.input_pipeline.augment import augment
from edge_retina.input_pipeline.augmentations.blur import blur
from edge_retina.input_pipeline.augmentations.jpeg import jpeg
from edge_retina.input_pipeline.augmentations.noise import noise
from tests.input_pipeline.samples import draw_from, having, sample_of, soft_image


@pytest.mark.parametrize("name", ["blur", "noise", "jpeg"])
def test_pixels_change_alike_for_the_same_draw_only(name: str):
    sample = sample_of(soft_image((40, 60)), (5, 5, 20, 30))

    def drawn(seed: int, strength: float) -> np.ndarray:
        draw = draw_from(having(**{name: strength}), seed)
        return augment(sample, draw, image_hw=(40, 60)).image_rgb

    before, once, again, other = drawn(0, 0), drawn(0, 0.5), drawn(0, 0.5), drawn(7, 0.5)
    if name != "noise":  # the first draw of seed 7 is above a half, that of 0 is too
        once, again, other = drawn(0, 1), drawn(0, 1), drawn(7, 1)
    np.testing.assert_array_equal(once, again)
    assert (once != before).any()
    assert (once != other).any()


def test_steps_work_on_the_rendered_image():
    """Noise is added at the input's size, after colours; a larger picture has no finer noise."""
    sample = sample_of(np.full((300, 300, 3), 128, np.uint8))
    found = augment(sample, draw_from(having(noise=0.1, brightness=0.0)), image_hw=(100, 100))
    values = found.image_rgb.astype(float)
    assert values.mean() == pytest.approx(128, abs=0.5)
    assert 0 < values.std() < 0.1 * 255
    neighbours = np.corrcoef(values[:, 1:].ravel(), values[:, :-1].ravel())[0, 1]
    assert abs(neighbours) < 0.03


def test_the_strength_of_noise_is_drawn_up_to_its_limit():
    grey = np.full((64, 64, 3), 128, np.uint8)
    draw = draw_from(having(noise=0.1))
    found = [noise(sample_of(grey), draw).pixel_steps[0](grey).std() / 255 for _ in range(60)]
    assert max(found) == pytest.approx(0.1, abs=0.01)
    assert min(found) < 0.01
    assert np.mean(found) == pytest.approx(0.05, abs=0.015)


def test_blur_spreads_a_point_and_keeps_its_light():
    point = np.zeros((31, 31, 3), np.uint8)
    point[15, 15] = 255
    draw = draw_from(having(blur=1))
    widths = []
    for _ in range(40):
        (step,) = blur(sample_of(point), draw).pixel_steps
        seen = step(point)[..., 0].astype(float)
        assert seen.sum() == pytest.approx(255, rel=0.1)
        squares = (np.arange(31) - 15) ** 2
        widths.append(np.sqrt(seen.sum(axis=0) @ squares / seen.sum()))
    assert min(widths) < 0.6
    assert 1.3 < max(widths) < 1.7


def test_jpeg_keeps_channels_apart_and_the_quality_varies():
    red = np.zeros((32, 32, 3), np.uint8)
    red[..., 0] = 220
    draw = draw_from(having(jpeg=1))
    grey = np.random.default_rng(0).integers(0, 256, (64, 64, 1), dtype=np.uint8)
    texture = np.repeat(grey, 3, axis=2)
    errors = []
    for _ in range(40):
        (step,) = jpeg(sample_of(red), draw).pixel_steps
        np.testing.assert_allclose(step(red).astype(int), red, atol=6)
        errors.append(np.abs(step(texture).astype(int) - texture).mean())
    coarse = cv2.imdecode(cv2.imencode(".jpg", texture, [cv2.IMWRITE_JPEG_QUALITY, 30])[1], 1)
    assert max(errors) <= np.abs(coarse.astype(int) - texture).mean() + 1e-9
    assert min(errors) < 0.5 * max(errors)
