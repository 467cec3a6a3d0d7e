from __future__ import annotations

import math

import numpy as np
import pytest

from edge_retina.boxes.nms import detect, detect_scored
from edge_retina.boxes.score_threshold import least_logit, least_score

UP, DOWN = np.float32(np.inf), np.float32(-np.inf)


def around(value: np.float32, count: int) -> np.ndarray:
    """Return (2 * count + 1,) float32 numbers in a row, `value` in the middle."""
    numbers = [value]
    for _ in range(count):
        numbers = [np.nextafter(numbers[0], DOWN), *numbers, np.nextafter(numbers[-1], UP)]
    return np.array(numbers, np.float32)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return (1 / (1 + np.exp(-logits.astype(np.float64)))).astype(np.float32)


def kept(function, values: np.ndarray, threshold: float) -> list[int]:
    """Return the places of the values (N,) that are kept; boxes are apart, so none suppresses."""
    count = len(values)
    tops = np.arange(count, dtype=np.float32) / count
    anchors = np.stack([tops, np.zeros(count), tops + 0.5 / count, np.ones(count)], axis=1)
    boxes, _, _ = function(
        values[:, None],
        np.zeros((count, 4), np.float32),
        anchors.astype(np.float32),
        score_threshold=threshold,
        iou_threshold=0.5,
        max_detections=count,
        candidates=count,
    )
    return sorted(np.rint(boxes[:, 0] * count).astype(int).tolist())


@pytest.mark.parametrize(
    "threshold, logit", [(0.5, 0.0), (0.25, -math.log(3)), (0.0, -13.8155), (1.0, 13.8155)]
)
def test_the_least_logit_by_hand(threshold: float, logit: float) -> None:
    assert least_logit(threshold) == pytest.approx(logit, abs=1e-4)
    assert least_logit(threshold).dtype == np.float32


@pytest.mark.parametrize("threshold", [0.01, 0.05, 0.2, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_logits_beside_the_threshold(threshold: float) -> None:
    """As in the graph: what is at the threshold's logit stays, what is one float32 below falls."""
    middle = np.float32(math.log(threshold / (1 - threshold)))
    assert kept(detect, around(middle, 4), threshold) == [4, 5, 6, 7, 8]


@pytest.mark.parametrize("threshold", [0.001, 0.01, 0.05, 0.1])
@pytest.mark.parametrize("off", [-1, 0, 1])
def test_scores_beside_the_threshold_fall_and_stay_as_their_logits_do(
    threshold: float, off: int
) -> None:
    """Even if a runtime's sigmoid has another last bit: so near 0, scores are finer than logits."""
    scores = sigmoid(around(least_logit(threshold), 4))
    for _ in range(abs(off)):
        scores = np.nextafter(scores, UP if off > 0 else DOWN)
    assert kept(detect_scored, scores, threshold) == [4, 5, 6, 7, 8]


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 0.9, 0.99])
def test_where_several_logits_have_one_score_none_that_reaches_the_threshold_falls(
    threshold: float,
) -> None:
    logits = around(least_logit(threshold), 200)
    scores = sigmoid(logits)
    found = kept(detect_scored, scores, threshold)
    assert found[-201:] == list(range(200, 401))
    assert set(scores[found[:-201]].tolist()) <= {scores[200]}, "lower ones have its very score"


def test_a_threshold_in_float32_that_the_way_to_a_logit_and_back_would_miss() -> None:
    """Scores are returned as they are, and the one at the threshold is among them."""
    scores = around(np.float32(0.9999), 3)
    found = kept(detect_scored, scores, float(np.float32(0.9999)))
    assert 3 in found
    assert least_score(0.5) == 0.5
