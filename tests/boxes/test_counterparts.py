from __future__ import annotations

import numpy as np
import pytest

from edge_retina.boxes.anchors import AnchorGrid, default_shapes
from edge_retina.boxes.counterparts import find_counterparts
from edge_retina.boxes.iou import pairwise_iou


def test_by_hand() -> None:
    # 2 x 2 cells; an upright and a flat shape of 1/2 x 1/4 and 1/4 x 1/2 of the image.
    grid = AnchorGrid((16, 16), 3, (((8.0, 4.0), (4.0, 8.0)),))
    # 3 x 3 cells of stride 8 on 24 px, centres at 1/6, 3/6, 5/6; flat before upright, then a large
    # shape. Then one cell of stride 32, its centre at 16/24: a copy of the upright one.
    other = AnchorGrid(
        (24, 24),
        3,
        (((6.0, 12.0), (12.0, 6.0), (24.0, 24.0)), ((40.0, 40.0),) * 3, ((12.0, 6.0),) * 3),
    )
    assert other.level_counts() == (27, 12, 3)
    found = find_counterparts(grid, other)
    # Centres at 1/4 and 3/4 are nearest to those at 1/6 and 5/6 (off by 1/12; the one at 3/6 is off
    # by 1/4): cells 0, 2, 6, 8 of three shapes each. The last level's centre at 4/6 is off by 1/12
    # from 3/4 both ways as well: equally near, so the first counts.
    assert found.index.tolist() == [1, 0, 7, 6, 19, 18, 25, 24]
    assert found.index.dtype == np.int32
    # Off by 1/12 both ways, of 1/2 x 1/4: 5/12 x 2/12 in common of 6/12 x 3/12 each.
    np.testing.assert_allclose(found.iou, 10 / (2 * 18 - 10), rtol=1e-5)


def test_of_equally_near_ones_the_first_counts() -> None:
    grid = AnchorGrid((16, 16), 3, (((8.0, 4.0),),))
    twice = AnchorGrid((16, 16), 3, (((8.0, 4.0), (8.0, 4.0)),))
    assert find_counterparts(grid, twice).index.tolist() == [0, 2, 4, 6]


def test_size_decides_between_levels() -> None:
    grid = AnchorGrid((32, 32), 3, (((7.0, 9.0),), ((30.0, 40.0),)))
    other = AnchorGrid((64, 64), 4, (((16.0, 16.0),), ((64.0, 64.0),)))  # of the same cells
    found = find_counterparts(grid, other)
    np.testing.assert_array_equal(found.index, np.arange(20))
    swapped = AnchorGrid((64, 64), 4, (((64.0, 64.0),), ((16.0, 16.0),)))
    found = find_counterparts(grid, swapped)
    assert set(found.index[:16]) == set(range(16, 20)), "small ones, on the coarse level"
    assert set(found.index[16:]) < set(range(16)), "large ones, on the fine level"


def test_a_rectangle_and_a_square_meet_in_relative_places() -> None:
    grid = AnchorGrid((32, 64), 3, (((8.0, 16.0),),))
    other = AnchorGrid((64, 64), 4, (((16.0, 16.0),),))
    found = find_counterparts(grid, other)
    # Rows of 8 cells and of 4; columns 0 and 1 of the wide grid lie about column 0 of the other.
    assert found.index[:8].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert found.index[8:16].tolist() == [4, 4, 5, 5, 6, 6, 7, 7]
    np.testing.assert_allclose(found.iou, 0.75 / 1.25, rtol=1e-5)  # of a width of 1/4, 1/16 off


@pytest.mark.parametrize("image_hw", [(64, 64), (96, 160)])
def test_the_same_grid_is_its_own_counterpart(image_hw: tuple[int, int]) -> None:
    grid = AnchorGrid(image_hw, 3, default_shapes((3, 4, 5, 6)))
    found = find_counterparts(grid, grid)
    np.testing.assert_array_equal(found.index, np.arange(len(grid.boxes_px())))
    np.testing.assert_allclose(found.iou, 1, rtol=1e-4)


def test_no_other_anchor_is_nearer() -> None:
    """Against all pairs, on grids that don't divide each other."""
    grid = AnchorGrid((96, 128), 3, (((20.0, 11.0), (9.0, 9.0)), ((40.0, 33.0), (16.0, 50.0))))
    other = AnchorGrid((160, 160), 4, (((30.0, 22.0),), ((64.0, 40.0),), ((90.0, 150.0),)))
    found = find_counterparts(grid, other)
    mine, theirs = (
        np.concatenate([(b[:, :2] + b[:, 2:]) / 2, b[:, 2:] - b[:, :2]], axis=1)
        for b in (grid.boxes_norm().astype(float), other.boxes_norm().astype(float))
    )
    shift = (theirs[None, :, :2] - mine[:, None, :2]) / mine[:, None, 2:]
    growth = np.log(theirs[None, :, 2:] / mine[:, None, 2:])
    distance = (shift**2).sum(axis=-1) + (growth**2).sum(axis=-1)
    chosen = distance[np.arange(len(mine)), found.index]
    np.testing.assert_allclose(chosen, distance.min(axis=1), rtol=1e-4, atol=1e-9)
    want = pairwise_iou(grid.boxes_norm(), other.boxes_norm())[np.arange(len(mine)), found.index]
    np.testing.assert_allclose(found.iou, want, rtol=1e-4)
