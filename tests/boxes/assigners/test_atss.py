from __future__ import annotations

import numpy as np
import pytest

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.boxes.assigners.atss import assign, cell_centres
from edge_retina.boxes.matching import IGNORED, NEGATIVE
from edge_retina.config import MatchingConfig

# 4 x 4 cells with a square of 16 px each, then 2 x 2 with one of 32 px.
GRID = AnchorGrid((32, 32), 3, (((16.0, 16.0),), ((32.0, 32.0),)))
ANCHORS = GRID.boxes_px()


def match(
    *gt_boxes: tuple[float, ...],
    force_match: bool = True,
    ignored: tuple[tuple[float, ...], ...] = (),
    grid: AnchorGrid = GRID,
) -> np.ndarray:
    matched = assign(
        grid.boxes_px(),
        np.array(gt_boxes, np.float32).reshape(-1, 4),
        np.zeros(len(gt_boxes), int),
        np.array(ignored, np.float32).reshape(-1, 4),
        grid=grid,
        settings=MatchingConfig(assigner="atss", force_match=force_match),
    )
    assert matched.dtype == np.int32
    return matched


def positives(matched: np.ndarray) -> dict[int, int]:
    """Anchors and their objects; all others are background."""
    assert (matched[matched < 0] == NEGATIVE).all()
    return {int(anchor): int(matched[anchor]) for anchor in np.flatnonzero(matched >= 0)}


def test_cell_centres_are_those_of_the_anchors():
    grid = AnchorGrid((64, 96), 3, (((9.0, 7.0), (5.0, 5.0)),) * 3)
    boxes = grid.boxes_px()
    want = (boxes[:, :2] + boxes[:, 2:]) / 2
    found = np.repeat(np.concatenate(cell_centres(grid)), 2, axis=0)
    np.testing.assert_allclose(found, want, atol=1e-5)


def test_between_four_cells():
    """A 16 px square in the middle.

    Candidates by IoU: the four cells around it, 144 / 368 = .391; the eight beyond, all as near as
    the ninth, 48 / 464 = .103; the four of 32 px, 256 / 1024 = .25. Mean .2120, deviation .1235:
    the threshold is .3355.
    """
    assert positives(match((8, 8, 24, 24))) == {5: 0, 6: 0, 9: 0, 10: 0}


def test_the_threshold_adapts():
    """A 26 px square with its centre at (15, 15), which no shape fits well.

    Level 3, of 16 px and centres 4, 12, 20, 28: the nearest nine are those at 12 and 20,
    256 / 676 = .3787 (four), one of these and 4, 160 / 772 = .2073 (four), and 12 and 28,
    128 / 804 = .1592 (two, as near as each other). Level 4, of 32 px and centres 8 and 24:
    484 / 1216 = .3980, 440 / 1260 = .3492 (two), 400 / 1300 = .3077. Mean .2904, deviation .0929:
    the threshold is .3833.
    """
    assert positives(match((2, 2, 28, 28))) == {16: 0}


def test_centres_outside_are_not_positive():
    """A strip at x = 13..15: no centre of a cell is inside, so its best anchors are forced."""
    assert positives(match((8, 13, 24, 15), force_match=False)) == {}
    # 2 * 12 / (256 + 32 - 24) = .0909 with the squares at y = 12 and 20, x = 12 and 20
    assert positives(match((8, 13, 24, 15))) == {5: 0, 6: 0, 9: 0, 10: 0}


def test_an_object_that_no_anchor_touches_gets_none():
    assert positives(match((100, 100, 110, 110))) == {}


def test_two_objects_claim_one_anchor():
    """Both lie on the square at (4, 4), 16 px; one of them exactly."""
    near, exact = (-4.0, -4.0, 12.0, 10.0), (-4.0, -4.0, 12.0, 12.0)
    assert positives(match(near, force_match=False))[0] == 0
    assert positives(match(near, exact, force_match=False))[0] == 1
    assert positives(match(exact, near, force_match=False))[0] == 0


def test_an_object_whose_anchors_went_to_another_is_forced():
    """The same square twice: the first has the anchors, then the second gets the best of them."""
    square = (-4.0, -4.0, 12.0, 12.0)
    assert set(positives(match(square, square, force_match=False)).values()) == {0}
    assert positives(match(square, square))[0] == 1


def test_ignored_regions():
    """Over the right half; anchors that lie mostly in it are not background."""
    matched = match((-4, -4, 12, 12), ignored=((-8, 16, 40, 40),))
    ignored = np.flatnonzero(matched == IGNORED).tolist()
    # level 3: columns 2 (12..28, 12 of 16 px inside) and 3; level 4: column 1 (8..40)
    assert ignored == [2, 3, 6, 7, 10, 11, 14, 15, 17, 19]


def test_no_objects():
    assert positives(match()) == {}


def test_all_shapes_of_a_cell_are_candidates():
    """With nine cells times two shapes, the better shape of the nearest cell is found."""
    grid = AnchorGrid((64, 64), 3, (((40.0, 10.0), (10.0, 40.0)),))
    # Cell (3, 3) of 8 x 8 is centred at (28, 28); its second shape is the object.
    assert positives(match((23, 8, 33, 48), grid=grid))[2 * (3 * 8 + 3) + 1] == 0


def test_a_single_anchor():
    grid = AnchorGrid((32, 32), 5, (((32.0, 32.0),),))
    assert positives(match((4, 4, 30, 30), grid=grid)) == {0: 0}


@pytest.mark.parametrize("seed", range(5))
def test_mirroring_the_image_mirrors_its_matches(seed: int):
    rng = np.random.default_rng(seed)
    low = rng.integers(0, 5, (3, 2)) * 4  # on a coarse raster, where distances tie
    gt_boxes = np.concatenate([low, low + rng.integers(1, 4, (3, 2)) * 4], axis=1)
    mirrored = gt_boxes[:, [0, 3, 2, 1]] * [1, -1, 1, -1] + [0, 32, 0, 32]
    forward, backward = match(*gt_boxes), match(*mirrored)
    for start, side in ((0, 4), (16, 2)):
        level = slice(start, start + side * side)
        np.testing.assert_array_equal(
            backward[level].reshape(side, side)[:, ::-1].ravel(), forward[level]
        )
