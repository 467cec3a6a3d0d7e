from __future__ import annotations

import re

from edge_retina.evaluation.errors.analysis import ErrorAnalysis, analyse_errors
from edge_retina.evaluation.intervals import metric_intervals
from edge_retina.evaluation.matches import find_matches
from edge_retina.report.evaluation_page import render_evaluation_page
from edge_retina.report.tables import Column, Table
from tests.evaluation.errors.made_split import LABELS, draw_errors, found, picture

RECORD = {
    "model": {"path": "runs/<x>"},
    "backend": "keras",
    "data": {"path": "data/x", "split": "val"},
    "images": 15,
}


def render(labels: tuple[str, ...] = LABELS, **options) -> tuple[str, ErrorAnalysis]:
    examples, detections = draw_errors(15, 0)
    analysis = analyse_errors(examples, detections, labels, luma=[10.0 * i for i in range(15)])
    intervals = metric_intervals(find_matches(examples, detections, labels), labels, resamples=50)
    return render_evaluation_page(RECORD, intervals, analysis, **options), analysis


def test_the_page_shows_every_part():
    page, analysis = render()
    for title in ("Size", "Aspect", "Crowding", "Brightness"):
        assert f"{title}: " in page
    assert page.count("<svg") == 1 + 4 + 1 + 3  # kinds, traits, calibration, classes
    assert f"score ≥ {analysis.curves['a'].best.threshold:.2f}" in page
    assert "50 resamples" in page
    assert "Compared with" not in page


def test_the_matrix_has_every_count():
    page, analysis = render()
    matrix = re.search(r'<table class="matrix">(.*?)</table>', page, re.DOTALL)[1]
    cells = re.findall(r"<td[^>]*>(\d*)</td>", matrix)
    assert [int(cell or 0) for cell in cells] == analysis.confusion.counts.ravel().tolist()
    heads = re.findall(r"<th>(.*?)</th>", matrix)
    assert heads[1:5] == [*LABELS, "background"]


def test_names_can_not_become_markup():
    page, _ = render(("<b>", "b", "c"))
    assert "<b>" not in page
    assert "runs/<x>" not in page
    assert "runs/&lt;x&gt;" in page


def test_another_model_is_compared():
    table = Table((Column("", text=True), Column("x")), [("mAP", "0.123")])
    page, _ = render(comparison=table, other="runs/other")
    assert '<p class="soft">runs/other</p>' in page
    assert "0.123" in page


def test_a_model_that_finds_nothing_has_a_page():
    examples, detections = [picture(("a", (0, 0, 9, 9)))], [found()]
    analysis = analyse_errors(examples, detections, LABELS)
    intervals = metric_intervals(find_matches(examples, detections, LABELS), LABELS)
    page = render_evaluation_page(RECORD, intervals, analysis)
    assert "No detections" in page
    assert "95 % interval unknown" in page


def test_of_many_classes_curves_and_matrix_are_folded():
    page, _ = render()
    assert page.count("<details open>") == 2
    page, _ = render((*LABELS, *(f"class {i}" for i in range(20))))
    assert page.count("<details open>") == 0
