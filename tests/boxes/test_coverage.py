from __future__ import annotations

import numpy as np
import pytest

from edge_retina.boxes.anchors import AnchorGrid, default_shapes
from edge_retina.boxes.coverage import (
    AnchorCoverage,
    best_iou,
    centre_offsets,
    count_positives,
    coverage_report,
    group_by_size,
    iou_at_offsets,
)
from edge_retina.boxes.iou import pairwise_iou

# One anchor per cell: 8 x 8 at stride 8 (4 cells a side), 16 x 16 at stride 16 (2 a side).
TWO_LEVELS = AnchorGrid((32, 32), 3, (((8, 8),), ((16, 16),)))


def test_figures_by_hand() -> None:
    found = AnchorCoverage.of(
        np.array([1, 0.5, 0.45, 0.1]), np.array([(3, 0), (0, 1), (0, 0), (0, 0)])
    )
    assert found == AnchorCoverage(
        objects=4,
        best_possible_recall=0.5,
        recall_at_40=0.75,
        mean_best_iou=2.05 / 4,
        positives_per_object=1.0,
    )


def test_figures_of_no_objects() -> None:
    assert AnchorCoverage.of(np.zeros(0)) == AnchorCoverage(0, 0.0, 0.0, 0.0, None)
    assert AnchorCoverage.of(np.zeros(0), np.zeros((0, 2), int)).positives_per_object == 0.0


def test_positives_that_were_not_counted_are_not_in_the_json() -> None:
    figures = {"objects", "best_possible_recall", "recall_at_40", "mean_best_iou"}
    assert AnchorCoverage.of(np.ones(1)).to_dict().keys() == figures
    counted = AnchorCoverage.of(np.ones(1), np.zeros((1, 2), int)).to_dict()
    assert counted.keys() == figures | {"positives_per_object"}


def test_centre_offsets_by_hand() -> None:
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
def test_iou_at_offsets(
    offset: tuple[float, float], shape: tuple[float, float], expected: float
) -> None:
    found = iou_at_offsets(np.array([[0.0, 0, 10, 10]]), np.array([offset], float), shape)
    assert found == pytest.approx([expected])


# 100: the last cells lie partly outside
@pytest.mark.parametrize("image_hw", [(96, 96), (100, 100), (64, 160)])
def test_the_nearest_anchor_is_the_best_one(image_hw: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    low = rng.uniform(-5, image_hw, (200, 2))
    boxes = np.concatenate([low, low + rng.uniform(1, 90, (200, 2))], axis=1)
    grid = AnchorGrid(image_hw, 3, default_shapes((3, 4, 5)))
    expected = pairwise_iou(grid.boxes_px().astype(np.float64), boxes).max(axis=0)
    np.testing.assert_allclose(best_iou(grid, boxes), expected, atol=1e-5)


def test_best_iou_by_hand() -> None:
    grid = AnchorGrid((32, 32), 3, (((8.0, 8.0),),))  # one anchor of 8 px in each cell of 8 px
    boxes = np.array([[8, 8, 16, 16], [8, 8, 16, 12], [10, 8, 18, 16]], float)
    np.testing.assert_allclose(best_iou(grid, boxes), [1, 0.5, 48 / 80])


def test_positives_go_to_their_level() -> None:
    boxes = np.array([(0, 0, 8, 8), (0, 0, 16, 16), (0, 0, 32, 32)], float)
    np.testing.assert_array_equal(count_positives(TWO_LEVELS, boxes), [(1, 0), (0, 1), (0, 0)])


def test_positives_of_many_boxes_are_those_of_each() -> None:
    rng = np.random.default_rng(0)
    low = rng.uniform(-20, 140, (9000, 2))  # more than are compared at a time; some are outside
    boxes = np.concatenate([low, low + rng.uniform(8, 60, (9000, 2))], axis=1)
    boxes[::2] = boxes[::2].round()  # whose IoU with round shapes may be 0.5 exactly
    grid = AnchorGrid((96, 128), 3, (((16.0, 32.0), (20.3, 11.0)), ((32.0, 32.0), (64.0, 24.0))))
    split = grid.level_counts()[0]
    iou = pairwise_iou(grid.boxes_px(), boxes) >= 0.5
    expected = np.stack([iou[:split].sum(axis=0), iou[split:].sum(axis=0)], axis=1)
    np.testing.assert_array_equal(count_positives(grid, boxes), expected)
    assert expected.sum(axis=0).min() > 0


def test_report_by_hand() -> None:
    boxes = np.array([(0, 0, 8, 8), (0, 0, 16, 16), (0, 0, 32, 32)], float)
    report = coverage_report(TWO_LEVELS, boxes, np.array([0, 2, 0]), ("cat", "none", "dog"))
    assert report.overall == AnchorCoverage(
        3, pytest.approx(2 / 3), pytest.approx(2 / 3), pytest.approx(0.75), pytest.approx(2 / 3)
    )
    assert report.by_class == {
        "cat": AnchorCoverage(2, 0.5, 0.5, 0.625, 0.5),
        "dog": AnchorCoverage(1, 1, 1, 1, 1),
    }
    assert {name: item.mean_best_iou for name, item in report.by_size.items()} == {
        "8-16": 1,
        "16-32": 1,
        "32-64": 0.25,
    }
    assert report.positives_by_level == {3: pytest.approx(1 / 3), 4: pytest.approx(1 / 3)}


def test_report_of_no_objects() -> None:
    report = coverage_report(TWO_LEVELS, np.zeros((0, 4)), np.zeros(0, int), ("cat",))
    assert report.overall == AnchorCoverage(0, 0, 0, 0, 0)
    assert report.by_class == report.by_size == {}
    assert report.positives_by_level == {3: 0, 4: 0}


def test_sizes_go_by_octaves() -> None:
    sides = [(1, 1), (7.9, 7.9), (8, 8), (4, 16), (15.9, 15.9), (16, 16), (200, 100)]
    boxes = np.array([(0, 0, height, width) for height, width in sides])
    found = {name: np.flatnonzero(chosen).tolist() for name, chosen in group_by_size(boxes).items()}
    assert list(found) == ["< 8", "8-16", "16-32", "128-256"]
    assert found == {"< 8": [0, 1], "8-16": [2, 3, 4], "16-32": [5], "128-256": [6]}
    assert group_by_size(np.zeros((0, 4))) == {}
