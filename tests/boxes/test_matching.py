from __future__ import annotations

import numpy as np
import pytest

from edge_retina.boxes.matching import IGNORED, NEGATIVE, ignore_inside

ANCHORS = np.array([(0, 0, 10, 10), (0, 20, 10, 30), (20, 0, 30, 10)], np.float32)


@pytest.mark.parametrize(
    "ignored_boxes, matched_gt",
    [
        ([], [NEGATIVE, NEGATIVE, NEGATIVE]),
        ([(0, 0, 10, 10)], [IGNORED, NEGATIVE, NEGATIVE]),
        ([(0, 0, 10, 25.1)], [IGNORED, IGNORED, NEGATIVE]),  # just over half of the second
        ([(0, 0, 10, 25)], [IGNORED, NEGATIVE, NEGATIVE]),  # just half
        ([(4, 4, 6, 6)], [NEGATIVE, NEGATIVE, NEGATIVE]),  # the box is inside the anchor
        ([(0, 0, 10, 20), (20, 0, 30, 10)], [IGNORED, NEGATIVE, IGNORED]),
        # two boxes with .4 of the first anchor each: neither has most of it
        ([(0, 0, 10, 4), (0, 6, 10, 10)], [NEGATIVE, NEGATIVE, NEGATIVE]),
    ],
)
def test_ignore_inside(ignored_boxes: list[tuple[float, ...]], matched_gt: list[int]):
    boxes = np.array(ignored_boxes, np.float32).reshape(-1, 4)
    background = np.full(3, NEGATIVE)
    assert ignore_inside(background, ANCHORS, boxes).tolist() == matched_gt
    assert background.tolist() == [NEGATIVE] * 3


def test_objects_come_before_ignored_regions():
    everywhere = np.array([(0, 0, 60, 60)], np.float32)
    matched = ignore_inside(np.array([4, IGNORED, NEGATIVE]), ANCHORS, everywhere)
    assert matched.tolist() == [4, IGNORED, IGNORED]
