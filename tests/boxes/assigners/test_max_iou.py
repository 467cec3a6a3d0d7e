from __future__ import annotations

import numpy as np
import pytest

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.boxes.assigners.max_iou import assign
from edge_retina.boxes.matching import IGNORED, NEGATIVE
from edge_retina.config import MatchingConfig

GRID = AnchorGrid((64, 64), 3, (((10.0, 10.0),),))  # max_iou doesn't look at it


def row(*shifts: float) -> np.ndarray:
    """10 px squares shifted along x: IoU with the square at 0 is (10 - s) / (10 + s)."""
    return np.array([(0, s, 10, s + 10) for s in shifts], np.float32).reshape(-1, 4)


def match(anchors: np.ndarray, gt_boxes: np.ndarray, *, force_match: bool) -> list[int]:
    matched = assign(
        anchors,
        gt_boxes,
        np.zeros(len(gt_boxes), int),
        row(),
        grid=GRID,
        settings=MatchingConfig(positive_iou=0.5, negative_iou=0.4, force_match=force_match),
    )
    assert matched.dtype == np.int32
    return matched.tolist()


@pytest.mark.parametrize(
    "anchors, gt_boxes, plain, forced",
    [
        pytest.param(
            # IoU      1  .538 .429 .333  0
            row(0, 3, 4, 5, 20),
            row(0),
            [0, 0, IGNORED, NEGATIVE, NEGATIVE],
            [0, 0, IGNORED, NEGATIVE, NEGATIVE],
            id="the three zones",
        ),
        pytest.param(
            row(0),
            np.array([[0, 0, 10, 5]]),  # IoU exactly .5
            [0],
            [0],
            id="positive_iou itself is positive",
        ),
        pytest.param(
            np.concatenate([row(0), [[0, 0, 4, 5]]]),
            np.array([[0, 0, 4, 10]]),  # IoU exactly .4 and .5
            [IGNORED, 0],
            [IGNORED, 0],
            id="negative_iou itself is ignored",
        ),
        pytest.param(
            row(0, 4.5, 50),
            row(-1, 9),  # IoU .818 | .290, .379 | .053; the second's best is anchor 1
            [0, NEGATIVE, NEGATIVE],
            [0, 1, NEGATIVE],
            id="the best anchor of an object is forced below negative_iou",
        ),
        pytest.param(
            row(-5, 5, 40),
            row(0),  # .333 twice
            [NEGATIVE, NEGATIVE, NEGATIVE],
            [0, 0, NEGATIVE],
            id="anchors that share the best IoU are all forced",
        ),
        pytest.param(
            row(0, 100),
            row(6, -5),  # .25 and .333 of the one anchor near
            [NEGATIVE, NEGATIVE],
            [1, NEGATIVE],
            id="two objects claim one anchor: the higher IoU has it",
        ),
        pytest.param(
            row(0, 3),
            row(0, 6),  # object 0: 1, .538; object 1: .25, .538
            [0, 0],
            [0, 1],
            id="a forced object takes an anchor that matched another",
        ),
        pytest.param(
            row(0, 2),
            row(0, 0),
            [0, 0],
            [0, 0],
            id="of equal objects the first has the anchor",
        ),
        pytest.param(
            row(0, 20),
            row(50),
            [NEGATIVE, NEGATIVE],
            [NEGATIVE, NEGATIVE],
            id="an object that no anchor touches is not forced",
        ),
        pytest.param(
            row(0, 20), row(), [NEGATIVE, NEGATIVE], [NEGATIVE, NEGATIVE], id="no objects"
        ),
    ],
)
def test_by_hand(anchors: np.ndarray, gt_boxes: np.ndarray, plain: list[int], forced: list[int]):
    assert match(anchors, gt_boxes, force_match=False) == plain
    assert match(anchors, gt_boxes, force_match=True) == forced


def test_the_order_of_objects_changes_only_their_numbers():
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 60, (6, 2))
    gt_boxes = np.concatenate([low, low + rng.uniform(4, 40, (6, 2))], axis=1)
    centre = rng.uniform(0, 100, (300, 2))
    half = rng.uniform(2, 20, (300, 2))
    anchors = np.concatenate([centre - half, centre + half], axis=1)
    order = rng.permutation(6)
    forward = np.array(match(anchors, gt_boxes, force_match=True))
    shuffled = np.array(match(anchors, gt_boxes[order], force_match=True))
    np.testing.assert_array_equal(np.where(shuffled >= 0, order[shuffled], shuffled), forward)
    assert set(forward[forward >= 0]) == set(range(6))  # every object has an anchor


def at_least(count: int, lowest: float, anchors: np.ndarray, gt_boxes: np.ndarray) -> list[int]:
    settings = MatchingConfig(min_positives=count, min_positive_iou=lowest)
    return assign(
        anchors,
        gt_boxes,
        np.zeros(len(gt_boxes), int),
        row(),
        grid=GRID,
        settings=settings,
    ).tolist()


@pytest.mark.parametrize(
    "count, lowest, matched",
    [
        #             IoU with the one object: .818, .429, .333, .25, .053
        (1, 0.25, [0, IGNORED, NEGATIVE, NEGATIVE, NEGATIVE]),
        (2, 0.25, [0, 0, NEGATIVE, NEGATIVE, NEGATIVE]),
        (3, 0.25, [0, 0, 0, NEGATIVE, NEGATIVE]),
        (3, 0.35, [0, 0, NEGATIVE, NEGATIVE, NEGATIVE]),  # the third is too poor
        (9, 0.25, [0, 0, 0, 0, NEGATIVE]),  # .25 itself is enough
        (9, 0.0, [0, 0, 0, 0, 0]),
        (9, 0.9, [0, IGNORED, NEGATIVE, NEGATIVE, NEGATIVE]),  # the best one, however poor it is
    ],
)
def test_a_minimum_of_positives(count: int, lowest: float, matched: list[int]):
    assert at_least(count, lowest, row(1, 4, 5, 6, 9), row(0)) == matched


def test_two_objects_that_want_the_same_anchors():
    """IoU of the objects at 0 and 6 with the anchors: .667 and .429, .429 and .667, .053 and .538.

    Each wants its two best; the one in the middle goes to the higher IoU.
    """
    assert at_least(2, 0.25, row(2, 4, 9), row(0, 6)) == [0, 1, 1]
