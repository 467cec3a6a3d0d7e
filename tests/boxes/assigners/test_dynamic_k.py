from __future__ import annotations

import numpy as np
import pytest

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.boxes.assigners.dynamic_k import assign
from edge_retina.boxes.matching import IGNORED, NEGATIVE
from edge_retina.config import MatchingConfig

# 4 x 4 cells with a square of 16 px each, then 2 x 2 with one of 32 px.
GRID = AnchorGrid((32, 32), 3, (((16.0, 16.0),), ((32.0, 32.0),)))
MIDDLE = (2.0, 2.0, 28.0, 28.0)


def match(
    *gt_boxes: tuple[float, ...],
    force_match: bool = True,
    most_positives: int = 13,
    ignored: tuple[tuple[float, ...], ...] = (),
) -> np.ndarray:
    matched = assign(
        GRID.boxes_px(),
        np.array(gt_boxes, np.float32).reshape(-1, 4),
        np.zeros(len(gt_boxes), int),
        np.array(ignored, np.float32).reshape(-1, 4),
        grid=GRID,
        settings=MatchingConfig(
            assigner="dynamic_k", force_match=force_match, most_positives=most_positives
        ),
    )
    assert matched.dtype == np.int32
    return matched


def positives(matched: np.ndarray) -> dict[int, int]:
    """Anchors and their objects; all others are background."""
    assert (matched[matched < 0] == NEGATIVE).all()
    return {int(anchor): int(matched[anchor]) for anchor in np.flatnonzero(matched >= 0)}


def test_equally_good_anchors_are_all_positive():
    """A 16 px square between four cells; the centres of the 32 px anchors lie on its edge."""
    assert positives(match((8, 8, 24, 24))) == {5: 0, 6: 0, 9: 0, 10: 0}


def test_a_sum_of_shares():
    """A 26 px square centred at (15, 15).

    Centred inside are nine anchors of 16 px: 256 / 676 = .3787 (four), 160 / 772 = .2073 (four),
    100 / 832 = .1202; and four of 32 px: .3980, .3492 (two), .3077. Their sum is 9.72 times the
    best: k is 10. The tenth has .2073, and so have four. Only the anchor in the corner is left out.
    """
    found = positives(match(MIDDLE))
    assert sorted(found) == [1, 2, 4, 5, 6, 8, 9, 10, 16, 17, 18, 19]


def test_only_the_best_count():
    """Of the four best, .3980 and three times .3787, the sum of shares is 3.85: k is 4.

    The fourth IoU is shared by two anchors: five are positive.
    """
    assert sorted(positives(match(MIDDLE, most_positives=4))) == [5, 6, 9, 10, 16]


def test_an_object_smaller_than_a_cell_gets_the_anchor_around_it():
    assert positives(match((10, 10, 14, 14))) == {5: 0}


def test_an_object_between_the_centres_is_forced():
    strip = (8.0, 13.0, 24.0, 15.0)  # between the columns of centres at 12 and 20
    assert positives(match(strip, force_match=False)) == {}
    assert positives(match(strip)) == {5: 0, 6: 0, 9: 0, 10: 0}


def test_an_object_that_no_anchor_touches_gets_none():
    assert positives(match((100, 100, 110, 110))) == {}


def test_no_objects():
    assert positives(match()) == {}


def test_the_higher_iou_has_the_anchor():
    near, exact = (-4.0, -4.0, 12.0, 10.0), (-4.0, -4.0, 12.0, 12.0)
    assert positives(match(near, force_match=False))[0] == 0
    assert positives(match(near, exact, force_match=False))[0] == 1
    assert positives(match(exact, near, force_match=False))[0] == 0


def test_ignored_regions():
    matched = match((-4, -4, 12, 12), ignored=((-8, 16, 40, 40),))
    ignored = np.flatnonzero(matched == IGNORED).tolist()
    assert ignored == [2, 3, 6, 7, 10, 11, 14, 15, 17, 19]


@pytest.mark.parametrize("seed", range(5))
def test_mirroring_the_image_mirrors_its_matches(seed: int):
    rng = np.random.default_rng(seed)
    low = rng.integers(0, 5, (3, 2)) * 4  # on a coarse raster, where IoUs tie
    gt_boxes = np.concatenate([low, low + rng.integers(1, 4, (3, 2)) * 4], axis=1)
    mirrored = gt_boxes[:, [0, 3, 2, 1]] * [1, -1, 1, -1] + [0, 32, 0, 32]
    forward, backward = match(*gt_boxes), match(*mirrored)
    for start, side in ((0, 4), (16, 2)):
        level = slice(start, start + side * side)
        np.testing.assert_array_equal(
            backward[level].reshape(side, side)[:, ::-1].ravel(), forward[level]
        )
