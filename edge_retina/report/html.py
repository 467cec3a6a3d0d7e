"""The report: one HTML file that needs nothing beside it, not even a network."""

from __future__ import annotations

from pathlib import Path

import tomli_w

from edge_retina.files import write_text
from edge_retina.report import sections
from edge_retina.report.data import ExamplePictures, ReportData
from edge_retina.report.layer_errors import layer_chart, layer_table
from edge_retina.report.pages import render_template
from edge_retina.report.pictures import data_uri
from edge_retina.report.verdict import verdict


def write_report(path: Path | str, data: ReportData) -> None:
    """Write the report, whole or not at all."""
    write_text(path, render_report(data))


def render_report(data: ReportData) -> str:
    """Return the report as an HTML document with its style, charts and pictures inside."""
    return render_template(
        "report.html.j2",
        title=data.title,
        window_title=data.title,
        subtitle=", ".join(data.labels),
        verdict=verdict(data),
        headline=sections.headline(data),
        notes=data.notes,
        accuracy=sections.accuracy_table(data.accuracy),
        class_table=sections.class_table(data.accuracy),
        class_chart=sections.class_chart(data.accuracy),
        latency=sections.latency_table(data.latency),
        latency_chart=sections.latency_chart(data.latency),
        training_charts=sections.training_charts(data.losses, data.accuracy_curve),
        examples=[_pair(item) for item in data.examples],
        anchor_shapes=data.anchors and sections.anchor_shapes(data.anchors),
        anchor_coverage=data.anchors and sections.anchor_coverage(data.anchors),
        layer_chart=layer_chart(data.layer_errors),
        layer_table=layer_table(data.layer_errors),
        config=tomli_w.dumps(data.config),
        environment=sections.environment_table(data.environment),
    )


def _pair(item: ExamplePictures) -> dict[str, str]:
    return {
        "title": item.title,
        "ground_truth": data_uri(item.ground_truth),
        "detections": data_uri(item.detections),
    }
