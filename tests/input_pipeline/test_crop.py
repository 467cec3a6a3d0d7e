from __future__ import annotations

import numpy as np
import pytest

from edge_retina.input_pipeline.augment import augment
from edge_retina.input_pipeline.augmentations.crop import _count_spoiled, _enlarge, crop
from tests.input_pipeline.samples import black, draw_from, having, sample_of


def test_a_window_fills_the_image():
    """The right half of the middle of a 100 x 200 image: y 25..75, x 100..200."""
    matrix = _enlarge(np.array([0.25, 0.5, 0.75, 1.0]), (100, 200))
    sample = sample_of(black(100, 200), (25, 100, 75, 200), (25, 100, 50, 150), (0, 0, 50, 150))
    found = augment(sample.transform(matrix), draw_from(having()), image_hw=(100, 200))
    np.testing.assert_allclose(
        found.boxes_px, [(0, 0, 100, 200), (0, 0, 50, 100), (0, 0, 50, 100)], atol=1e-4
    )
    # Of the last, 25 x 50 of 50 x 150 are left.
    np.testing.assert_allclose(found.visible, [1, 1, 1 / 6], atol=1e-6)


@pytest.mark.parametrize(
    "box, visible, spoiled",
    [
        ((0.2, 0.2, 0.3, 0.3), 1.0, 0),  # wholly inside the window 0..0.5
        ((0.6, 0.6, 0.7, 0.7), 1.0, 0),  # wholly outside
        ((0.4, 0.0, 0.6, 0.5), 1.0, 0),  # half of it
        ((0.4, 0.4, 0.6, 0.6), 1.0, 1),  # a quarter, of which 0.3 are demanded
        ((0.4, 0.0, 0.6, 0.5), 0.5, 1),  # half of what was half hidden already
    ],
)
def test_spoiled_objects_by_hand(box: tuple[float, ...], visible: float, spoiled: int):
    windows = np.array([(0, 0, 0.5, 0.5), (0, 0, 1, 1)])
    found = _count_spoiled(windows, np.array([box]), np.array([visible]), 0.3)
    assert found.tolist() == [spoiled, 0]


def test_every_crop_keeps_an_object_and_nearly_the_shape():
    rng = np.random.default_rng(0)
    draw = draw_from(having(crop=1, min_visible=0.3))
    areas, ratios, ignored = [], [], 0
    for _ in range(200):
        corners = rng.uniform(0, [70, 150], (6, 2))
        boxes = np.concatenate([corners, corners + rng.uniform(5, 30, (6, 2))], axis=1)
        sample = sample_of(black(100, 200), *boxes)
        cropped = crop(sample, draw)
        areas.append(1 / (cropped.affine[0, 0] * cropped.affine[1, 1]))
        ratios.append(cropped.affine[0, 0] / cropped.affine[1, 1])
        found = augment(sample, draw, image_hw=(100, 200))
        assert (found.visible > 1 - 1e-6).any()
        ignored += int(found.ignored.sum())
    assert 0.3 - 1e-9 <= min(areas) < 0.35
    assert 0.9 < max(areas) <= 1
    assert 3 / 4 - 1e-9 <= min(ratios) < 0.8
    assert 1.25 < max(ratios) <= 4 / 3 + 1e-9
    assert ignored < 0.02 * 200 * 6  # one window taken at random spoils 4%


def test_an_object_as_large_as_the_image_is_kept_whole():
    draw = draw_from(having(crop=1, min_visible=0.3))
    for _ in range(20):
        sample = sample_of(black(100, 200), (2, 0, 98, 200))
        found = augment(sample, draw, image_hw=(50, 100))
        assert found.visible.tolist() == pytest.approx([1])


def test_the_window_is_in_what_other_changes_left_of_the_image():
    """Zoomed out to a half, the object is 10 px high in the middle; a crop enlarges it again."""
    draw = draw_from(having(crop=1, scale=(0.5, 0.5)))
    for _ in range(50):
        found = augment(sample_of(black(100, 100), (0, 0, 20, 20)), draw, image_hw=(100, 100))
        ((y0, _, y1, _),) = found.boxes_px
        assert found.visible.tolist() == pytest.approx([1])
        assert 10 <= y1 - y0 <= 10 / np.sqrt(0.3 / (4 / 3)) + 1e-3


def test_images_without_usable_objects_are_cropped_too():
    draw = draw_from(having(crop=1))
    affine = crop(sample_of(black(100, 100)), draw).affine
    assert affine[0, 0] > 1
