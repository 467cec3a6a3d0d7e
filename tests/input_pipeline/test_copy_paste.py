from __future__ import annotations

import numpy as np
import pytest

from edge_retina.input_pipeline.augmentation import Draw
from edge_retina.input_pipeline.augmentations.copy_paste import (
    _cut_out,
    _paste,
    _ramp,
    _shares,
    _uncovered,
    copy_paste,
)
from edge_retina.input_pipeline.sample import Picture, Sample
from tests.input_pipeline.samples import black, having, sample_of


def bright(count: int = 1) -> Sample:
    """A white image of 80 x 80 with objects of 20 x 10."""
    boxes = [(5 + 25 * i, 5, 25 + 25 * i, 15) for i in range(count)]
    return sample_of(np.full((80, 80, 3), 255, np.uint8), *boxes)


def test_shares_by_hand():
    boxes = np.array([(0, 0, 10, 10), (0, 0, 20, 20)], float)
    others = np.array([(5, 5, 15, 15), (30, 30, 40, 40), (0, 0, 20, 20)], float)
    np.testing.assert_allclose(_shares(boxes, others), [(0.25, 0, 1), (0.25, 0, 1)])
    assert _shares(boxes, np.zeros((0, 4))).shape == (2, 0)


def test_ramp_by_hand():
    np.testing.assert_allclose(_ramp(6, 2, 1), [0.25, 0.75, 1, 1, 1, 0.5])
    np.testing.assert_allclose(_ramp(3, 0, 0), [1, 1, 1])


def test_covered_ignored_and_flat_objects_are_not_pasted():
    sample = sample_of(black(50, 50), (0, 0, 10, 10), (0, 5, 10, 15), (0, 30, 10, 40), (9, 9, 9, 9))
    assert _uncovered(sample).tolist() == [False, False, True, False]
    crowd = Sample(sample.picture, sample.boxes_px, sample.classes, np.ones(4, bool))
    assert not _uncovered(crowd).any()


def test_a_pasted_object_by_hand():
    """20 x 10 px at twice the size: 40 x 20, with a margin of 10% that fades."""
    source = np.full((80, 80, 3), 100, np.uint8)
    source[30:50, 30:40] = 200
    patch = _cut_out(sample_of(source, (30, 30, 50, 40)), 0, np.array([20.0, 50, 60, 70]))
    assert patch.source_px.tolist() == [28, 29, 52, 41]
    assert patch.target_px.tolist() == [16, 48, 64, 72]
    assert patch.fade_px.tolist() == [4, 2, 4, 2]
    image = _paste(Picture.of(black(100, 100)), [patch])[..., 0]
    assert (image[21:59, 51:69] == 200).all()
    outside = np.ones((100, 100), bool)
    outside[16:64, 48:72] = False
    assert (image[outside] == 0).all()
    # The margin of 4 px rises in steps of a quarter of the picture around the object, 100.
    np.testing.assert_allclose(image[16:18, 60], [12.5, 37.5], atol=1)


@pytest.mark.parametrize("seed", range(30))
def test_pasted_objects_have_boxes_and_leave_others_visible(seed: int):
    sample = sample_of(black(60, 90), (10, 10, 40, 40), (20, 50, 50, 80))
    draw = Draw(having(copy_paste=1), np.random.default_rng(seed), lambda _: bright(3))
    found = copy_paste(sample, draw)
    pasted = found.boxes_px[2:]
    assert len(pasted) <= 3
    np.testing.assert_array_equal(found.boxes_px[:2], sample.boxes_px)
    assert (pasted[:, :2] >= 0).all()
    assert (pasted[:, 2:] <= (60, 90)).all()
    assert not found.ignored.any()
    assert len(found.classes) == len(found.visible) == len(found.ignored) == len(found.boxes_px)
    assert (found.visible >= 1 - 3 * 0.2).all()
    image = found.image_rgb[..., 0]
    for y0, x0, y1, x1 in pasted.astype(int):
        assert (image[y0:y1, x0:x1] == 255).all()
        # 20 x 10 px of 80 x 80 are 15 x 11.25 px of 60 x 90
        assert 15 / 1.25 - 0.5 <= y1 - y0 <= 15 * 1.25 + 0.5
        assert 11.25 / 1.25 - 0.5 <= x1 - x0 <= 11.25 * 1.25 + 0.5
    if not len(pasted):
        assert image.max() == 0
    assert (sample.image_rgb == 0).all()


def test_most_draws_find_a_place_and_all_counts_occur():
    counts = set()
    for seed in range(40):
        draw = Draw(having(copy_paste=1), np.random.default_rng(seed), lambda _: bright(3))
        counts.add(len(copy_paste(sample_of(black(200, 200)), draw).boxes_px))
    assert counts == {1, 2, 3}


def test_no_room_nothing_pasted():
    full = sample_of(
        black(40, 40), *[(y, x, y + 5, x + 5) for y in range(0, 40, 5) for x in range(0, 40, 5)]
    )
    draw = Draw(having(copy_paste=1), np.random.default_rng(0), lambda _: bright(3))
    assert len(copy_paste(full, draw).boxes_px) == 64


def test_how_much_of_a_covered_object_is_left():
    """Only one place leaves the large object mostly visible; what is covered is counted."""
    sample = sample_of(black(80, 80), (0, 0, 80, 80))
    draw = Draw(having(copy_paste=1), np.random.default_rng(0), lambda _: bright(1))
    found = copy_paste(sample, draw)
    y0, x0, y1, x1 = found.boxes_px[1]
    assert found.visible[0] == pytest.approx(1 - (y1 - y0) * (x1 - x0) / 6400)
    assert found.visible[1] == 1
