"""An evaluation with its error analysis as one HTML file that needs nothing beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_retina.evaluation.errors.analysis import ErrorAnalysis
from edge_retina.evaluation.errors.confusion import Confusion
from edge_retina.evaluation.errors.curves import Calibration, PrecisionRecall
from edge_retina.evaluation.errors.slices import Slice
from edge_retina.evaluation.errors.tide import KINDS, ErrorGains
from edge_retina.evaluation.intervals import Interval, MetricIntervals
from edge_retina.report.charts import BarGroup, Chart, Series, bar_chart, line_chart
from edge_retina.report.error_tables import (
    KIND_TEXTS,
    calibration_text,
    gains_table,
    interval_text,
    mistakes_table,
    operating_points_table,
    slices_table,
)
from edge_retina.report.pages import render_template
from edge_retina.report.sections import OPEN_CLASSES
from edge_retina.report.tables import Column, Figure, Table, score


def render_evaluation_page(
    record: Mapping[str, Any],
    intervals: MetricIntervals,
    analysis: ErrorAnalysis,
    *,
    comparison: Table | None = None,
    other: str = "",
) -> str:
    """Return the page.

    Args:
        record: the JSON document of `evaluate`.
        intervals: of its metrics.
        analysis: of its detections.
        comparison: with another model, see `differences_table`.
        other: name of that model.
    """
    data = record["data"]
    return render_template(
        "evaluation.html.j2",
        title="Where the mAP is lost",
        window_title="Evaluation",
        subtitle=(
            f"{record['model']['path']} ({record['backend']}) on split {data['split']} of "
            f"{data['path']}: {record['images']} pictures, {_objects(analysis)} objects"
        ),
        headline=_headline(intervals, analysis),
        comparison=comparison,
        other=other,
        gains=gains_table(analysis.gains, brief=True),
        gains_chart=_gains_chart(analysis.gains),
        slices=[
            (
                trait.name.replace("_", " ").capitalize(),
                trait.unit,
                _slices_chart(trait.name, analysis.slices[trait.name]),
                slices_table(analysis.slices[trait.name]),
            )
            for trait in analysis.traits
            if analysis.slices[trait.name]
        ],
        matrix=_matrix(analysis.confusion),
        matrix_open=len(analysis.confusion.labels) <= OPEN_CLASSES,
        matrix_threshold=f"{analysis.confusion.threshold:.2f}",
        mistakes=mistakes_table(analysis),
        calibration_chart=_calibration_chart(analysis.calibration),
        calibration_note=calibration_text(analysis),
        points=operating_points_table(analysis, brief=True),
        curves=[
            _curve_chart(label, curve)
            for label, curve in analysis.curves.items()
            if curve is not None
        ],
        curves_open=len(analysis.curves) <= OPEN_CLASSES,
        metrics=_metrics(intervals),
        method=intervals.method,
        resamples=f"{intervals.resamples:,}",
    )


def _headline(intervals: MetricIntervals, analysis: ErrorAnalysis) -> list[Figure]:
    items = [
        Figure("mAP", score(intervals.mAP.value), _interval_note(intervals.mAP)),
        Figure("mAP50", score(intervals.mAP50.value), _interval_note(intervals.mAP50)),
    ]
    gains = analysis.gains.gains
    worst = max(KINDS, key=lambda kind: gains[kind])
    if gains[worst] > 0:
        items.append(
            Figure("Costliest error", f"−{gains[worst]:.3f}", f"{worst}: {KIND_TEXTS[worst]}")
        )
    point = analysis.operating_point
    if point is not None:
        note = f"precision {point.precision:.2f}, recall {point.recall:.2f}"
        items.append(Figure("Best score threshold", f"{point.threshold:.2f}", note))
    return items


def _interval_note(item: Interval) -> str:
    if item.low is None or item.high is None:
        return "95 % interval unknown"
    return f"95 %: {item.low:.3f} to {item.high:.3f}"


def _gains_chart(gains: ErrorGains) -> Chart | None:
    groups = [BarGroup(f"{kind}: {KIND_TEXTS[kind]}", (gains.gains[kind],)) for kind in KINDS]
    return bar_chart("mAP50 given back by mending", groups, ["mAP50"], value_format=".3f")


def _slices_chart(name: str, slices: tuple[Slice, ...]) -> Chart | None:
    groups = [
        BarGroup(f"{item.name} ({item.objects} objects)", (item.mAP50, item.mAP)) for item in slices
    ]
    title = f"mAP by {name.replace('_', ' ')}"
    return bar_chart(title, groups, ["mAP50", "mAP"], value_format=".3f")


def _calibration_chart(calibration: Calibration) -> Chart | None:
    points = [
        (item.score, item.precision)
        for item in calibration.bins
        if item.score is not None and item.precision is not None
    ]
    if not points:
        return None
    perfect = Series("if scores were precisions", ((0.0, 0.0), (1.0, 1.0)))
    measured = Series("measured", tuple(points))
    return line_chart("Precision by score, at IoU .5", [measured, perfect], x_label="mean score")


def _curve_chart(label: str, curve: PrecisionRecall) -> Chart | None:
    last = len(curve.precision) - 1
    points = tuple((place / last, value) for place, value in enumerate(curve.precision))
    series = [Series("precision", points)]
    if curve.best is not None:
        name = f"score ≥ {curve.best.threshold:.2f}, F1 {curve.best.f1:.2f}"
        series.append(Series(name, ((curve.best.recall, curve.best.precision),)))
    title = f"{label} ({curve.objects} objects, AP50 {score(curve.ap50)})"
    return line_chart(title, series, x_label="recall")


def _matrix(confusion: Confusion) -> list[tuple[str, list[tuple[int, int]]]]:
    """Return the rows: name, and for each column the count and its per cent of the row."""
    totals = confusion.counts.sum(axis=1)
    return [
        (name, [(int(count), round(100 * count / max(total, 1))) for count in row])
        for name, row, total in zip(confusion.names, confusion.counts, totals, strict=True)
    ]


def _metrics(intervals: MetricIntervals) -> Table:
    columns = (Column("", text=True), Column("value"), Column("95 % interval"))
    rows = [
        (name, score(item.value if item else None), interval_text(item))
        for name, item in intervals.items()
    ]
    return Table(columns, rows)


def _objects(analysis: ErrorAnalysis) -> int:
    return sum(curve.objects for curve in analysis.curves.values() if curve is not None)
