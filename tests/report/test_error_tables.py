from __future__ import annotations

import pytest

from edge_retina.evaluation.errors.analysis import analyse_errors
from edge_retina.evaluation.errors.tide import KINDS
from edge_retina.evaluation.intervals import CORRECTED, Interval, MetricIntervals
from edge_retina.report import error_tables as tables
from tests.evaluation.errors.made_split import LABELS, draw_errors, found, picture

BOX, FAR = (0, 0, 32, 32), (64, 64, 96, 96)


def intervals(mAP: Interval, per_class: Interval | None) -> MetricIntervals:
    return MetricIntervals(mAP, mAP, {"a": per_class}, CORRECTED, resamples=10, seed=0)


def test_every_kind_has_its_words():
    assert tuple(tables.KIND_TEXTS) == KINDS


def test_gains_stand_by_kind():
    analysis = analyse_errors([picture(("a", BOX))], [found(("b", BOX, 0.9))], LABELS)
    table = tables.gains_table(analysis.gains)
    assert [row[0] for row in table.rows] == [*KINDS, "all false positives", "all false negatives"]
    assert table.rows[0] == ("classification", "wrong class, good box", "+1.000", "1")
    assert table.rows[5] == ("missed", "object not found", "+0.000", "0")
    assert "(now 0.000)" in table.title
    brief = tables.gains_table(analysis.gains, brief=True)
    assert brief.rows[0] == ("classification", "+1.000", "1")


def test_slices_say_how_many_are_found():
    analysis = analyse_errors([picture(("a", BOX), ("a", FAR))], [found(("a", BOX, 0.9))], LABELS)
    (row,) = tables.slices_table(analysis.slices["size"]).rows
    assert row == ("size 32-64", "2", "50%", "0.505", "0.505")


def test_the_operating_points_end_with_the_common_one():
    examples, detections = draw_errors(15, 0, classes=2)
    analysis = analyse_errors(examples, detections, LABELS)
    table = tables.operating_points_table(analysis)
    assert [row[0] for row in table.rows] == ["a", "b", "one for all"]
    assert table.rows[-1][3] == f"{analysis.operating_point.threshold:.2f}"
    objects = sum(len(example.classes) for example in examples)
    assert table.rows[-1][2] == str(objects)
    brief = tables.operating_points_table(analysis, brief=True)
    assert [column.name for column in brief.columns][:2] == ["class", "objects"]
    assert brief.rows[-1][1] == str(objects)


def test_a_model_that_finds_nothing_has_no_operating_point():
    analysis = analyse_errors([picture(("a", BOX))], [found()], LABELS)
    assert tables.operating_points_table(analysis).rows[0] == (
        "a",
        "0.000",
        "1",
        *("–",) * 4,
    )
    assert tables.calibration_text(analysis).startswith("No detections")
    assert tables.mistakes_table(analysis).rows == [("a", "background", "1", "100%")]


@pytest.mark.parametrize("score, words", [(0.9, "0.900 above"), (0.25, "0.250 above")])
def test_calibration_in_words(score: float, words: str):
    analysis = analyse_errors([picture(("a", BOX))], [found(("a", FAR, score))], LABELS)
    assert words in tables.calibration_text(analysis)
    right = analyse_errors([picture(("a", BOX))], [found(("a", BOX, 0.25))], LABELS)
    assert "0.750 below" in tables.calibration_text(right)


@pytest.mark.parametrize(
    "difference, verdict",
    [
        (Interval(0.1, 0.05, 0.15), "better"),
        (Interval(-0.1, -0.15, -0.05), "worse"),
        (Interval(0.1, -0.05, 0.25), "not distinguishable"),
        (Interval(0.1, 0.0, 0.25), "not distinguishable"),
        (Interval(0.1, None, None), "not distinguishable"),
        (None, ""),
    ],
)
def test_the_verdict(difference: Interval | None, verdict: str):
    assert tables.verdict(difference) == verdict


def test_two_models_side_by_side():
    one, other = Interval(0.5, 0.4, 0.6), Interval(0.4, 0.3, 0.5)
    table = tables.differences_table(
        intervals(one, one),
        intervals(other, None),
        intervals(Interval(0.1, 0.05, 0.15), None),
        title="x against y",
    )
    assert table.title == "x against y"
    assert table.rows[0] == ("mAP", "0.5000", "0.4000", "+0.1000", "+0.0500..+0.1500", "better")
    assert table.rows[2] == ("AP a", "0.5000", "–", "–", "–", "")
