from __future__ import annotations

import math

import numpy as np
import pytest

from edge_retina.boxes.anchors import AnchorGrid, default_shapes

# 4 x 4 cells of stride 8, then 2 x 2 cells of stride 16; two shapes a cell.
GRID = AnchorGrid((32, 32), 3, (((8.0, 8.0), (16.0, 4.0)), ((32.0, 32.0), (8.0, 64.0))))


def test_levels_and_counts():
    assert GRID.levels == (3, 4)
    assert GRID.per_cell == 2
    assert (GRID.cells_hw(3), GRID.cells_hw(4)) == ((4, 4), (2, 2))
    assert GRID.level_counts() == (32, 8)
    assert GRID.boxes_px().shape == (40, 4)


@pytest.mark.parametrize(
    "index, box",
    [
        (0, (0, 0, 8, 8)),  # level 3, row 0, column 0, first shape
        (1, (-4, 2, 12, 6)),  # second shape: 16 high and 4 wide about (4, 4), not clipped
        (2, (0, 8, 8, 16)),  # the next column comes before the next row
        (8, (8, 0, 16, 8)),  # row 1, column 0
        (11, (4, 10, 20, 14)),  # row 1, column 1, second shape
        (31, (20, 26, 36, 30)),  # the last of level 3: about (28, 28)
        (32, (-8, -8, 24, 24)),  # the first of level 4: about (8, 8)
        (39, (20, -8, 28, 56)),  # the last: 8 high and 64 wide about (24, 24)
    ],
)
def test_order_and_places(index: int, box: tuple[float, ...]):
    np.testing.assert_array_equal(GRID.boxes_px()[index], box)


def test_a_feature_map_that_does_not_divide_the_image_is_rounded_up():
    # 96 px at stride 64: "same" convolutions make 3 -> 2 cells
    grid = AnchorGrid((96, 96), 5, (((9.0, 9.0),), ((9.0, 9.0),)))
    assert grid.level_counts() == (9, 4)


def test_a_rectangular_input_has_rows_and_columns_of_its_own() -> None:
    grid = AnchorGrid((32, 64), 4, (((8.0, 16.0),),))
    assert grid.cells_hw(4) == (2, 4)
    boxes = grid.boxes_px()
    assert grid.level_counts() == (8,) == (len(boxes),)
    np.testing.assert_array_equal(boxes[0], [4, 0, 12, 16])
    np.testing.assert_array_equal(boxes[4], [20, 0, 28, 16])  # the first of the second row
    np.testing.assert_array_equal(boxes[7], [20, 48, 28, 64])
    np.testing.assert_allclose(grid.boxes_norm()[7], [20 / 32, 0.75, 28 / 32, 1])


def test_centres_are_symmetric_in_the_image():
    boxes = AnchorGrid((64, 64), 3, default_shapes((3, 4, 5))).boxes_px()
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    np.testing.assert_allclose(centres.mean(axis=0), [32, 32], atol=1e-3)


def test_default_shapes_are_retinanets():
    (level,) = default_shapes((3,))
    root = math.sqrt(2)
    np.testing.assert_allclose(
        level[:3], [(32 / root, 32 * root), (32, 32), (32 * root, 32 / root)]
    )
    sides = [math.sqrt(h * w) for h, w in level]
    np.testing.assert_allclose(sides, np.repeat([32, 32 * 2 ** (1 / 3), 32 * 2 ** (2 / 3)], 3))
    np.testing.assert_allclose([h / w for h, w in level], [0.5, 1, 2] * 3)  # ratio = height / width


def test_default_shapes_double_from_level_to_level():
    finer, coarser = default_shapes((4, 5))
    np.testing.assert_allclose(np.array(coarser), 2 * np.array(finer))
