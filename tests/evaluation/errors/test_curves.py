from __future__ import annotations

import numpy as np
import pytest

from edge_retina.evaluation.assignment import Assignment, assign_detections
from edge_retina.evaluation.coco_metrics import evaluate_detections
from edge_retina.evaluation.errors.curves import (
    OperatingPoint,
    calibrate,
    class_curves,
    common_operating_point,
)
from edge_retina.evaluation.matches import select_matches
from tests.evaluation.errors.made_split import LABELS, draw_errors, found, picture

BOX, FAR, NOTHING = (0, 0, 32, 32), (64, 64, 96, 96), (0, 64, 32, 96)


def assigned(objects: list, rows: list) -> Assignment:
    return assign_detections([picture(*objects)], [found(*rows)], LABELS)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_the_mean_of_a_curve_is_ap50(seed: int, ties: bool):
    examples, detections = draw_errors(20, seed, ties=ties, classes=2, crowd=0.1)
    known = assign_detections(examples, detections, LABELS)
    curves = class_curves(known, LABELS)
    expected = select_matches(known).average_precision()[0, :, 0]
    assert curves["c"] is None
    for number, label in enumerate(("a", "b")):
        assert len(curves[label].precision) == 101
        assert curves[label].ap50 == pytest.approx(expected[number])
    mean = np.mean([np.mean(curves[label].precision) for label in ("a", "b")])
    assert mean == pytest.approx(evaluate_detections(examples, detections, LABELS).mAP50)


@pytest.mark.parametrize(
    "rows, point",
    [
        ([], None),
        ([("a", NOTHING, 0.9)], None),
        # .9 alone finds one of two; .5 finds both with one false alarm on the way
        (
            [("a", BOX, 0.9), ("a", NOTHING, 0.75), ("a", FAR, 0.5)],
            OperatingPoint(0.5, 2 / 3, 1.0, 0.8),
        ),
        # The false alarms after the last object found don't pay
        (
            [("a", BOX, 0.75), ("a", FAR, 0.5), ("a", NOTHING, 0.25)],
            OperatingPoint(0.5, 1.0, 1.0, 1.0),
        ),
        # Equal scores come all or not at all
        (
            [("a", BOX, 0.5), ("a", NOTHING, 0.5), ("a", (64, 0, 96, 32), 0.5)],
            OperatingPoint(0.5, 1 / 3, 1 / 2, 0.4),
        ),
    ],
)
def test_the_operating_point(rows: list, point: OperatingPoint | None):
    known = assigned([("a", BOX), ("a", FAR)], rows)
    best = class_curves(known, LABELS)["a"].best
    assert (best is None) == (point is None)
    if point is not None:
        assert vars(best) == pytest.approx(vars(point))
    assert common_operating_point(known) == best


@pytest.mark.parametrize("seed", range(3))
def test_no_threshold_has_a_higher_f1(seed: int):
    examples, detections = draw_errors(20, seed, ties=True, crowd=0.1)
    known = assign_detections(examples, detections, LABELS)
    right, wrong = known.right[0], known.wrong[0]
    wanted = int((~known.object_ignored).sum())

    def f1(threshold: float) -> float:
        shown = known.score >= threshold
        return 2 * (right & shown).sum() / ((right & shown).sum() + (wrong & shown).sum() + wanted)

    point = common_operating_point(known)
    assert point.f1 == pytest.approx(f1(point.threshold))
    assert point.f1 == pytest.approx(max(map(f1, known.score)))


def test_calibration_by_hand():
    """Two of .75, of which one is right; four of .25, all wrong; one in a crowd."""
    example = picture(("a", BOX), ("b", FAR), crowd=[1])
    wrong = [("a", NOTHING, 0.25)] * 4
    rows = found(("a", BOX, 0.75), ("a", NOTHING, 0.75), ("b", FAR, 0.5), *wrong)
    result = calibrate(assign_detections([example], [rows], LABELS), bins=4)
    assert [item.detections for item in result.bins] == [0, 4, 0, 2]
    assert [item.score for item in result.bins] == [None, 0.25, None, 0.75]
    assert [item.precision for item in result.bins] == [None, 0.0, None, 0.5]
    assert result.expected_error == pytest.approx((4 * 0.25 + 2 * 0.25) / 6)
    assert result.bias == pytest.approx((4 * 0.25 + 2 * 0.75 - 1) / 6)


def test_scores_that_are_chances_are_calibrated():
    """5,000 detections, each right with the chance that its score says."""
    rng = np.random.default_rng(0)
    scores = rng.random(5000)
    right = rng.random(5000) < scores
    known = Assignment(
        detection=np.arange(5000),
        picture=np.zeros(5000, int),
        score=scores,
        borders=np.array([0, 5000]),
        matched=np.where(right, 0, -1)[None],
        ignored=np.zeros((1, 5000), bool),
        object_picture=np.zeros(1, int),
        object_class=np.zeros(1, int),
        object_ignored=np.zeros(1, bool),
        pictures=1,
    )
    assert calibrate(known).expected_error < 0.02
    assert abs(calibrate(known).bias) < 0.02


def test_a_score_of_one_belongs_to_the_last_bin():
    result = calibrate(assigned([("a", BOX)], [("a", BOX, 1.0)]))
    assert result.bins[-1].detections == 1
    assert (result.expected_error, result.bias) == (0.0, 0.0)


def test_without_detections_nothing_can_be_said():
    known = assigned([("a", BOX)], [])
    result = calibrate(known)
    assert result.expected_error is None
    assert [item.detections for item in result.bins] == [0] * 10
    assert class_curves(known, LABELS)["a"].precision == (0.0,) * 101
