"""The whole page: what it says, that it stands alone, that no label gets into its markup."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from edge_retina.config import Config
from edge_retina.report.data import (
    AccuracyRow,
    AnchorSummary,
    ExamplePictures,
    LatencyRow,
    ReportData,
)
from edge_retina.report.html import render_report, write_report
from edge_retina.report.metrics_log import AccuracyPoint, LossPoint

EVIL = "<script>alert('1')</script>"
VOID = {"meta", "img", "rect", "line", "polyline", "br"}


class Page(HTMLParser):
    """Collects tags, attributes and text, and checks that tags are closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def data() -> ReportData:
    picture = np.zeros((12, 16, 3), np.uint8)
    latency = [
        LatencyRow("d_float32.tflite", "tflite-xnnpack", 1, 9.0, 9.9, 3_800_000, "float32"),
        LatencyRow("d_int8.tflite", "tflite-builtin", 1, 27.0, 28.0, 1_240_000, "int8"),
        LatencyRow("d_int8.tflite", "tflite-xnnpack", 2, 12.5, 13.0, 1_240_000, "int8"),
    ]
    return ReportData(
        title="cells & more",
        config=Config().to_dict(),
        labels=("WBC", EVIL),
        environment={"cpu": "A < B", "governor": None, "versions": {"tflite": "2.3.0"}},
        accuracy=(
            AccuracyRow("float Keras", 0.5, 0.8, {"WBC": 0.75, EVIL: None}),
            AccuracyRow("int8 QAT", 0.495, 0.79, {"WBC": 0.74, EVIL: 0.25}),
        ),
        latency=tuple(latency),
        losses=(LossPoint(10, 3.0, 2.0, 1.0), LossPoint(20, None, None, None)),
        accuracy_curve=(AccuracyPoint(10, 0.1, 0.2), AccuracyPoint(20, None, 0.4)),
        anchors=AnchorSummary(
            {3: ((16.0, 12.4), (8.0, 9.0))},
            {"fitted": {"mean_best_iou": 0.81, "objects": 40}, "default": {"mean_best_iou": 0.6}},
        ),
        examples=(ExamplePictures(f"{EVIL}.jpg", picture, picture),),
        notes=(f"label {EVIL} is odd",),
        run="runs/my cells",
        export="runs/my cells/export",
    )


def headings(page: Page, html: str) -> list[str]:
    return re.findall(r"<h2>([^<]*)</h2>", html)


def test_all_sections_are_there_and_the_markup_is_well_formed(data: ReportData) -> None:
    html = render_report(data)
    page = Page(html)
    assert page.open == []
    assert headings(page, html) == [
        "Is it good?",
        "How fast is it?",
        "What next?",
        "Accuracy",
        "Latency",
        "Training",
        "Examples",
        "Anchors",
        "Environment",
    ]
    assert "Config" in page.text


def test_headline_is_the_shipped_model_and_its_fastest_measurement(data: ReportData) -> None:
    html = render_report(data)
    cards = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", html)
    assert dict(cards) == {
        "mAP": "0.495",
        "mAP50": "0.790",
        "mAP kept": "99.0 %",
        "Latency": "12.5 ms",
        "Model size": "1.24 MB",
    }


def test_every_class_is_a_row_that_can_be_sorted(data: ReportData) -> None:
    html = render_report(data)
    (table,) = re.findall(r'<table class="sortable">.*?</table>', html, flags=re.DOTALL)
    rows = re.findall(r"<td[^>]*>(.*?)</td><td>(.*?)</td><td>(.*?)</td>", table)
    assert rows == [
        ("WBC", "0.750", "0.740"),
        ("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;", "–", "0.250"),
    ]


def test_figures_of_every_section_are_in_the_text(data: ReportData) -> None:
    text = Page(render_report(data)).text
    for part in (
        "float Keras0.5000.800100.0 %",
        "int8 QAT0.4950.79099.0 %",
        "d_int8.tflitetflite-builtin127.028.01.24 MB",
        "P3816\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}12, 8\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}9",
        "mean best IoU0.8100.600",
        "objects40–",
        "cpuA < B",
        "governorunknown",
        "versionstflite 2.3.0",
        "cells & more",
        f"label {EVIL} is odd",
        "backbone_width = 0.35",
    ):
        assert part in text, part


def test_only_a_teacher_has_a_curve_of_its_distance(data: ReportData) -> None:
    assert "distance to the teacher" not in render_report(data)
    taught = dataclasses.replace(
        data, losses=tuple(LossPoint(step, 3.0, 2.0, 0.5, 0.5) for step in (10, 20))
    )
    assert "distance to the teacher" in render_report(taught)


def test_labels_never_become_markup(data: ReportData) -> None:
    html = render_report(data)
    page = Page(html)
    assert page.tags.count("script") == html.count("<script") == 1, "that which sorts"
    assert page.text.count(EVIL) >= 4, "but they are shown as they are"
    assert not [name for name, _ in page.attributes if name.startswith("on")]


def test_quotes_in_a_title_stay_inside_their_attribute(data: ReportData) -> None:
    picture = data.examples[0].detections
    odd = ExamplePictures('x" onerror="alert(1)', picture, picture)
    page = Page(render_report(dataclasses.replace(data, examples=(odd,))))
    assert "onerror" not in [name for name, _ in page.attributes]


def test_page_needs_nothing_beside_it(data: ReportData) -> None:
    html = render_report(data)
    page = Page(html)
    addresses = [value for name, value in page.attributes if name in ("src", "href")]
    assert len(addresses) == 2
    assert all(address.startswith("data:image/jpeg;base64,") for address in addresses)
    assert "url(" not in html
    assert "@import" not in html
    assert "http" not in html
    assert "fetch" not in html


def test_report_without_data_has_no_sections() -> None:
    html = render_report(ReportData("empty"))
    page = Page(html)
    assert page.open == []
    assert "section" not in page.tags
    assert re.findall("<(?:title|h1)>empty<", html) == ["<title>empty<", "<h1>empty<"]


def test_one_accuracy_row_has_nothing_to_be_compared_with(data: ReportData) -> None:
    html = render_report(dataclasses.replace(data, accuracy=data.accuracy[:1]))
    assert "mAP kept" not in html


def test_many_classes_are_folded_away(data: ReportData) -> None:
    many = AccuracyRow("float", 0.5, 0.8, {f"class {index}": 0.5 for index in range(21)})
    assert "<summary>AP of 21 classes</summary>" in render_report(
        dataclasses.replace(data, accuracy=(many,))
    )
    assert "<summary>AP of" not in render_report(data)


def test_file_is_written_whole_as_utf8(tmp_path: Path, data: ReportData) -> None:
    data = dataclasses.replace(data, labels=("größer",))
    write_report(tmp_path / "sub" / "report.html", data)
    written = (tmp_path / "sub" / "report.html").read_text(encoding="utf-8")
    assert written == render_report(data)
    assert "größer" in written


def test_rows_from_the_json_of_evaluate_and_benchmark() -> None:
    metrics = {"mAP": 0.5, "mAP50": 0.8, "per_class": {"a": None}, "images": 3}
    assert AccuracyRow.from_metrics("float", metrics) == AccuracyRow("float", 0.5, 0.8, {"a": None})
    result = {
        "model": "d.tflite",
        "backend": "keras",
        "threads": 2,
        "size_bytes": 9,
        "precision": "float32",
        "latency_ms": {"p50": 1.5, "p90": 2.5, "mean": 1.6},
    }
    assert LatencyRow.from_result(result) == LatencyRow(
        "d.tflite", "keras", 2, 1.5, 2.5, 9, "float32"
    )
