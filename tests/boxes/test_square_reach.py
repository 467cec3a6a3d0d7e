from __future__ import annotations

import numpy as np
import pytest

from edge_retina.boxes.iou import shape_iou
from edge_retina.boxes.square_reach import LONGEST_ASPECT, REACH_IOU, square_coverage


def centred(*shapes_hw: tuple[float, float]) -> np.ndarray:
    """Boxes in the middle of a cell of level 3, whose centre is 132, 132."""
    half = np.array(shapes_hw) / 2
    return np.concatenate([132 - half, 132 + half], axis=1)


def measure(boxes_px: np.ndarray, **squares: float):
    return square_coverage(boxes_px, image_hw=(256, 256), levels=(3,), **squares)


def test_no_square_reaches_a_longer_object():
    assert pytest.approx(3.0625) == LONGEST_ASPECT
    sides = np.linspace(1, 200, 4000)
    squares = np.stack([sides, sides], axis=1)
    for aspect, reached in ((3.0, True), (3.1, False)):
        best = shape_iou(np.array([(30 * aspect, 30)]), squares).max()
        assert (best >= REACH_IOU) == reached


@pytest.mark.parametrize(
    "shape, beyond, long, small",
    [
        ((32, 32), 0, 0, 0),
        ((56, 20), 0, 0, 0),  # 2.8 : 1; common 640, IoU 640 / (1120 + 1024 - 640) = 0.43
        ((60, 19), 1, 1, 0),  # 3.16 : 1; common 608, IoU 608 / (1140 + 1024 - 608) = 0.39
        ((19, 60), 1, 1, 0),
        ((20, 20), 1, 0, 1),  # 400 / 1024 = 0.39
        ((21, 21), 0, 0, 0),  # 441 / 1024 = 0.43
        ((60, 60), 1, 0, 0),  # 1024 / 3600 = 0.28, and no coarser level here
        ((20, 4), 1, 1, 1),
    ],
)
def test_one_object(shape: tuple[float, float], beyond: float, long: float, small: float):
    found = measure(centred(shape))
    assert (found.beyond_reach, found.too_long, found.too_small) == (beyond, long, small)


def test_shares_are_of_all_boxes_with_an_area():
    boxes = centred((32, 32), (32, 32), (60, 19), (20, 20), (0, 9))
    assert measure(boxes).to_dict() == {
        "objects": 4,
        "beyond_reach": 0.5,
        "too_long": 0.25,
        "too_small": 0.25,
    }


def test_the_squares_are_those_of_the_settings():
    boxes = centred((16, 16), (60, 60))
    assert measure(boxes).beyond_reach == 1
    smaller = measure(boxes, strides=2.0)
    assert (smaller.beyond_reach, smaller.too_small) == (0.5, 0)
    assert measure(centred((45, 45)), strides=2.0, scales=1).beyond_reach == 1  # 256 / 2025
    assert measure(centred((45, 45)), strides=4.0, scales=2).beyond_reach == 0  # 32, 45.25 px


def test_without_objects():
    assert measure(np.zeros((0, 4))).to_dict() == {
        "objects": 0,
        "beyond_reach": 0.0,
        "too_long": 0.0,
        "too_small": 0.0,
    }
