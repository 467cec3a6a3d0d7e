from __future__ import annotations

import math

import numpy as np
import pytest

from edge_retina.boxes.nms import detect, non_max_suppression, select_boxes


def logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


# 10 px squares along x: IoU of neighbours 0-2 is 8/12, of 2-5 7/13, of 0-5 5/15.
BOXES = np.array([(0, s, 10, s + 10) for s in (0, 2, 5, 30)], np.float64)


@pytest.mark.parametrize(
    "scores, threshold, max_kept, kept",
    [
        ((0.9, 0.8, 0.7, 0.6), 0.5, 10, [0, 2, 3]),  # 1 falls to 0; 2 is clear of 0 (.333)
        ((0.8, 0.9, 0.7, 0.6), 0.5, 10, [1, 3]),  # 1 takes both neighbours
        ((0.1, 0.2, 0.3, 0.4), 0.5, 10, [3, 2, 0]),  # best first; 1 falls to 2
        ((0.5, 0.5, 0.5, 0.5), 0.5, 10, [0, 2, 3]),  # ties: the lower index comes first
        ((0.9, 0.8, 0.7, 0.6), 8 / 12, 10, [0, 1, 2, 3]),  # an IoU equal to the threshold stays
        ((0.9, 0.8, 0.7, 0.6), 0.5, 2, [0, 2]),
        ((0.9, 0.8, 0.7, 0.6), 0.0, 10, [0, 3]),
    ],
)
def test_non_max_suppression(
    scores: tuple[float, ...], threshold: float, max_kept: int, kept: list[int]
):
    found = non_max_suppression(BOXES, np.array(scores), iou_threshold=threshold, max_kept=max_kept)
    assert found.tolist() == kept


def test_non_max_suppression_of_nothing():
    found = non_max_suppression(np.zeros((0, 4)), np.zeros(0), iou_threshold=0.5, max_kept=5)
    assert found.shape == (0,)
    assert found.dtype == np.int64  # an index, even when empty


# Two anchors upon each other and one apart, as fractions of the image.
ANCHORS = np.array([(0.1, 0.1, 0.3, 0.3), (0.1, 0.1, 0.3, 0.32), (0.6, 0.6, 0.9, 0.9)], np.float32)
PROBABILITIES = np.array([(0.9, 0.2), (0.8, 0.7), (0.04, 0.6)])
LOGITS = np.log(PROBABILITIES / (1 - PROBABILITIES)).astype(np.float32)


def run(**changes: object) -> tuple[list[int], list[float], np.ndarray]:
    settings = {
        "score_threshold": 0.05,
        "iou_threshold": 0.5,
        "max_detections": 10,
        "candidates": 100,
    } | changes
    boxes, classes, scores = detect(LOGITS, np.zeros((3, 4), np.float32), ANCHORS, **settings)
    assert (boxes.dtype, classes.dtype, scores.dtype) == (np.float32, np.int32, np.float32)
    return classes.tolist(), scores.tolist(), boxes


@pytest.mark.parametrize(
    "changes, classes, scores",
    [
        ({}, [0, 1, 1], [0.9, 0.7, 0.6]),  # 0.8 falls to 0.9, 0.2 to 0.7, 0.04 to the threshold
        ({"class_agnostic": True}, [0, 1], [0.9, 0.6]),
        ({"iou_threshold": 0.95}, [0, 0, 1, 1, 1], [0.9, 0.8, 0.7, 0.6, 0.2]),
        ({"score_threshold": 0.65}, [0, 1], [0.9, 0.7]),
        ({"max_detections": 1}, [0], [0.9]),
        ({"candidates": 2}, [0], [0.9]),  # only 0.9 and 0.8 enter
        ({"score_threshold": 0.95}, [], []),
    ],
)
def test_detect(changes: dict[str, object], classes: list[int], scores: list[float]):
    found_classes, found_scores, boxes = run(**changes)
    assert found_classes == classes
    assert found_scores == pytest.approx(scores)
    assert boxes.shape == (len(classes), 4)


def test_a_box_at_the_threshold_is_dropped_as_by_the_tflite_kernel() -> None:
    """Of two boxes, the one the left half of the other: their IoU is .5 without rounding."""
    anchors = np.array([(0.0, 0.0, 1.0, 1.0), (0.0, 0.0, 1.0, 0.5)], np.float32)
    for iou_threshold, expected in ((0.5, [2.0]), (0.5000001, [2.0, 1.0])):
        _, _, scores = detect(
            np.array([[2.0], [1.0]], np.float32),
            np.zeros((2, 4), np.float32),
            anchors,
            score_threshold=0.05,
            iou_threshold=iou_threshold,
            max_detections=5,
            candidates=5,
        )
        assert [round(logit(score), 4) for score in scores] == expected


def test_detections_carry_the_box_of_their_anchor():
    _, _, boxes = run()
    np.testing.assert_allclose(boxes, ANCHORS[[0, 1, 2]], atol=1e-6)


def test_boxes_are_decoded_and_clipped_to_the_image():
    anchors = np.array([(0.0, 0.4, 0.2, 0.8)], np.float32)
    codes = np.array([[-5.0, 5.0, 5 * math.log(2), 0.0]], np.float32)  # centre 0, .8; twice as high
    boxes, classes, scores = detect(
        np.array([[logit(0.5)]], np.float32),
        codes,
        anchors,
        score_threshold=0.5,
        iou_threshold=0.5,
        max_detections=5,
        candidates=5,
    )
    np.testing.assert_allclose(boxes, [(0.0, 0.6, 0.2, 1.0)], atol=1e-6)
    assert (classes.tolist(), scores.tolist()) == ([0], [0.5])  # a score at the threshold stays


def test_a_box_outside_the_image_is_not_an_object():
    codes = np.zeros((3, 4), np.float32)
    codes[0, 0] = -30.0  # three heights up
    boxes, classes, scores = detect(
        LOGITS,
        codes,
        ANCHORS,
        score_threshold=0.05,
        iou_threshold=0.5,
        max_detections=10,
        candidates=100,
    )
    assert classes.tolist() == [0, 1, 1]
    assert scores == pytest.approx([0.8, 0.7, 0.6])
    np.testing.assert_allclose(boxes, ANCHORS[[1, 1, 2]], atol=1e-6)


def test_selected_boxes_by_hand() -> None:
    """Two classes: the second box of class 0 overlaps the first by .8, the third by nothing."""
    boxes = np.array([[0, 0, 1, 1], [0, 0, 1, 0.8], [2, 2, 3, 3]], np.float32)
    scores = np.array([[0.9, 0.1], [0.8, 0.7], [0.05, 0.001]], np.float32)
    settings = {"score_threshold": 0.001, "max_detections": 10, "candidates": 100}
    found, classes, best = select_boxes(boxes, scores, iou_threshold=0.7, **settings)
    assert classes.tolist() == [0, 1, 0]
    np.testing.assert_array_equal(best, np.array([0.9, 0.7, 0.05], np.float32))
    np.testing.assert_array_equal(found, boxes[[0, 1, 2]])
    # .8 is not above .85: both boxes of both classes stay
    _, classes, best = select_boxes(boxes, scores, iou_threshold=0.85, **settings)
    assert classes.tolist() == [0, 0, 1, 1, 0]
    few = {**settings, "max_detections": 2}
    assert len(select_boxes(boxes, scores, iou_threshold=0.7, **few)[0]) == 2
    one = {**settings, "candidates": 1}
    assert len(select_boxes(boxes, scores, iou_threshold=0.7, **one)[0]) == 1
    none = select_boxes(boxes, scores * 0, iou_threshold=0.7, **settings)
    assert [item.shape for item in none] == [(0, 4), (0,), (0,)]
