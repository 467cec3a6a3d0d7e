from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from edge_retina.boxes import iou as iou_module
from edge_retina.boxes.iou import area, mean_sides, overlapping_pairs, pairwise_iou, shape_iou

SQUARE = (0.0, 0.0, 10.0, 10.0)


@pytest.mark.parametrize(
    "box, expected",
    [
        (SQUARE, 1.0),
        ((5, 5, 15, 15), 25 / 175),
        ((0, 0, 10, 5), 0.5),
        ((0, 0, 5, 10), 0.5),
        ((2, 3, 4, 6), 6 / 100),  # inside
        ((-10, -10, 20, 20), 100 / 900),  # around
        ((0, 2, 30, 4), 20 / (100 + 60 - 20)),  # a cross: height and width are not interchangeable
        ((0, 10, 10, 20), 0.0),  # shares an edge
        ((20, 20, 30, 30), 0.0),
        ((4, 4, 4, 9), 0.0),  # no area
        ((8, 8, 2, 2), 0.0),  # inverted
    ],
)
def test_pairwise_iou(box: tuple[float, ...], expected: float):
    found = pairwise_iou(np.array([SQUARE]), np.array([box], np.float64))
    assert found.shape == (1, 1)
    assert found[0, 0] == pytest.approx(expected)


def test_rows_are_the_first_argument():
    first = np.array([SQUARE, (20, 20, 30, 30)])
    second = np.array([(0, 0, 10, 5), (20, 20, 30, 30), SQUARE])
    np.testing.assert_allclose(pairwise_iou(first, second), [[0.5, 0, 1], [0, 1, 0]])


def test_two_boxes_without_area_have_iou_0():
    point = np.array([[3.0, 3.0, 3.0, 3.0]])
    assert pairwise_iou(point, point)[0, 0] == 0


@pytest.mark.parametrize("a, b", [(0, 3), (3, 0), (0, 0)])
def test_no_boxes(a: int, b: int):
    assert pairwise_iou(np.zeros((a, 4)), np.ones((b, 4))).shape == (a, b)


def test_iou_is_the_share_of_common_pixels():
    rng = np.random.default_rng(0)
    low = rng.integers(0, 20, (30, 2))
    boxes = np.concatenate([low, low + rng.integers(1, 20, (30, 2))], axis=1)
    masks = np.zeros((30, 40, 40), bool)
    for mask, (y0, x0, y1, x1) in zip(masks, boxes, strict=True):
        mask[y0:y1, x0:x1] = True
    common = (masks[:, None] & masks[None]).sum(axis=(2, 3))
    either = (masks[:, None] | masks[None]).sum(axis=(2, 3))
    np.testing.assert_allclose(
        pairwise_iou(boxes.astype(float), boxes.astype(float)), common / either
    )


def test_area():
    boxes = np.array([SQUARE, (1, 2, 3, 5), (5, 5, 5, 9), (9, 9, 1, 1)])
    np.testing.assert_array_equal(area(boxes), [100, 6, 0, 0])


@pytest.mark.parametrize(
    "first, second, expected",
    [((10, 10), (10, 10), 1.0), ((10, 20), (20, 10), 100 / 300), ((4, 4), (8, 8), 0.25)],
)
def test_shape_iou(first: tuple[float, float], second: tuple[float, float], expected: float):
    assert shape_iou(np.array([first], float), np.array([second], float)) == pytest.approx(expected)


def test_shape_iou_is_the_iou_of_centred_boxes():
    shapes = np.random.default_rng(1).uniform(1, 50, (20, 2))
    boxes = np.concatenate([-shapes / 2, shapes / 2], axis=1)
    np.testing.assert_allclose(shape_iou(shapes, shapes), pairwise_iou(boxes, boxes))


def test_mean_sides_are_those_of_the_square_of_the_same_area() -> None:
    boxes = np.array([(0, 0, 4, 9), (2, 3, 2, 8), (5, 5, 1, 9)], np.float32)
    np.testing.assert_allclose(mean_sides(boxes), [6, 0, 0])


@pytest.mark.parametrize("block", [1, 40, 10_000])
def test_overlapping_pairs_in_blocks(monkeypatch: pytest.MonkeyPatch, block: int):
    monkeypatch.setattr(iou_module, "_BLOCK", block)
    low = np.random.default_rng(0).uniform(0, 30, (50, 2))
    boxes = np.concatenate([low, low + 8], axis=1)
    pairs, iou = overlapping_pairs(boxes)
    whole = np.triu(pairwise_iou(boxes, boxes), 1)
    np.testing.assert_array_equal(pairs, np.argwhere(whole))
    np.testing.assert_array_equal(iou, whole[whole > 0])


@pytest.mark.parametrize("block", [1, 40, 10_000])
def test_each_box_has_the_partners_that_it_overlaps_most(
    monkeypatch: pytest.MonkeyPatch, block: int
):
    monkeypatch.setattr(iou_module, "_BLOCK", block)
    low = np.random.default_rng(0).uniform(0, 30, (50, 2))
    boxes = np.concatenate([low, low + 12], axis=1)
    whole = np.triu(pairwise_iou(boxes, boxes), 1)
    expected = [
        (earlier, later)
        for later in range(50)
        for earlier in sorted(range(50), key=lambda i: -whole[i, later])[:3]
        if whole[earlier, later] > 0
    ]
    assert len(expected) < (whole > 0).sum()
    pairs, iou = overlapping_pairs(boxes, most_partners=3)
    assert pairs.tolist() == sorted(map(list, expected))
    np.testing.assert_array_equal(iou, whole[pairs[:, 0], pairs[:, 1]])


def test_boxes_on_one_place_need_little_memory():
    tracemalloc.start()
    pairs, iou = overlapping_pairs(np.tile([[1.0, 2, 30, 40]], (3000, 1)), most_partners=20)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(pairs) == 20 * 3000 - 20 * 21 / 2  # the first 20 have fewer before them
    assert (iou == 1).all()
    assert peak < 100e6  # all 4.5 million pairs took 300 MB


def test_overlapping_pairs_of_many_boxes_need_little_memory():
    low = np.random.default_rng(0).uniform(0, 10_000, (6000, 2))
    tracemalloc.start()
    pairs, _ = overlapping_pairs(np.concatenate([low, low + 50], axis=1))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(pairs) > 100
    assert peak < 200e6  # all pairs at once would be 6000**2 * 8 bytes, several times over


def test_no_boxes_no_pairs():
    pairs, iou = overlapping_pairs(np.zeros((0, 4)))
    assert pairs.shape == (0, 2)
    assert iou.shape == (0,)
