"""Coverage object by object; the summary of a data set is in test_coverage.py."""

from __future__ import annotations

import numpy as np
import pytest

from edge_retina.boxes.anchors import AnchorGrid, default_shapes
from edge_retina.boxes.coverage import (
    best_iou,
    centre_offsets,
    group_by_size,
    iou_at_offsets,
    measure_coverage,
    measure_objects,
)
from edge_retina.boxes.iou import pairwise_iou


def test_centre_offsets_by_hand():
    boxes = np.array([(0, 0, 16, 16), (4, 0, 12, 8), (120, 250, 136, 270)], float)
    # Centres (8, 8), (8, 4), (128, 260); of stride 16 with 4 cells: 8, 24, 40, 56.
    found = centre_offsets(boxes, level=4, cells_hw=(4, 4))
    np.testing.assert_array_equal(found, [(0, 0), (0, 4), (72, 204)])


@pytest.mark.parametrize(
    "offset, shape, expected",
    [
        ((0, 0), (10, 10), 1),
        ((0, 0), (20, 10), 0.5),
        ((0, 0), (5, 5), 0.25),
        ((5, 0), (10, 10), 50 / 150),
        ((10, 0), (10, 10), 0),
        ((30, 30), (10, 10), 0),
        ((3, 0), (20, 10), 0.5),  # still within the anchor
    ],
)
def test_iou_at_offsets(offset: tuple[float, float], shape: tuple[float, float], expected: float):
    found = iou_at_offsets(np.array([[0.0, 0, 10, 10]]), np.array([offset], float), shape)
    assert found == pytest.approx([expected])


@pytest.mark.parametrize("image_size", [96, 100])  # 100: the last cells lie partly outside
def test_the_nearest_anchor_is_the_best_one(image_size: int):
    rng = np.random.default_rng(0)
    low = rng.uniform(-5, image_size, (200, 2))
    boxes = np.concatenate([low, low + rng.uniform(1, 90, (200, 2))], axis=1)
    grid = AnchorGrid((image_size, image_size), 3, default_shapes((3, 4, 5)))
    expected = pairwise_iou(grid.boxes_px().astype(np.float64), boxes).max(axis=0)
    np.testing.assert_allclose(best_iou(grid, boxes), expected, atol=1e-5)


def test_best_iou_by_hand():
    grid = AnchorGrid((32, 32), 3, (((8.0, 8.0),),))  # one anchor of 8 px in each cell of 8 px
    boxes = np.array([[8, 8, 16, 16], [8, 8, 16, 12], [10, 8, 18, 16]], float)
    np.testing.assert_allclose(best_iou(grid, boxes), [1, 0.5, 48 / 80])


def test_no_boxes():
    grid = AnchorGrid((96, 96), 3, default_shapes((3, 4)))
    assert best_iou(grid, np.zeros((0, 4))).shape == (0,)
    found = measure_objects(grid, [])
    assert found.summary().objects == 0
    assert found.positives_by_level() == (0.0, 0.0)


def test_positives_go_to_their_level():
    # One shape a cell: 8 x 8 at stride 8 (4 cells a side), 16 x 16 at stride 16 (2 a side).
    grid = AnchorGrid((32, 32), 3, (((8, 8),), ((16, 16),)))
    boxes = [np.array([(0, 0, 8, 8)], float), np.array([(0, 0, 16, 16), (0, 0, 32, 32)], float)]
    found = measure_objects(grid, boxes)
    np.testing.assert_allclose(found.best_iou, [1, 1, 0.25])
    np.testing.assert_array_equal(found.positives, [(1, 0), (0, 1), (0, 0)])
    assert found.positives_by_level() == (pytest.approx(1 / 3), pytest.approx(1 / 3))
    assert found.summary() == measure_coverage(grid.boxes_px(), boxes)
    part = found.summary(np.array([True, False, True]))
    assert (part.objects, part.best_possible_recall) == (2, 0.5)


def test_sizes_go_by_octaves():
    sides = [(1, 1), (7.9, 7.9), (8, 8), (4, 16), (15.9, 15.9), (16, 16), (200, 100)]
    boxes = np.array([(0, 0, height, width) for height, width in sides])
    found = {name: np.flatnonzero(chosen).tolist() for name, chosen in group_by_size(boxes).items()}
    assert list(found) == ["< 8", "8-16", "16-32", "128-256"]
    assert found == {"< 8": [0, 1], "8-16": [2, 3, 4], "16-32": [5], "128-256": [6]}
    assert group_by_size(np.zeros((0, 4))) == {}
