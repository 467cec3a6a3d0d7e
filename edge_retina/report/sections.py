"""What the sections of a report show: figures, tables and charts, which the template lays out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from edge_retina.report.charts import BarGroup, Chart, Series, bar_chart, line_chart
from edge_retina.report.data import AccuracyRow, AnchorSummary, LatencyRow, ReportData
from edge_retina.report.metrics_log import AccuracyPoint, LossPoint
from edge_retina.report.tables import (
    MISSING,
    Column,
    Figure,
    Table,
    megabytes,
    milliseconds,
    percent,
    score,
)
from edge_retina.report.verdict import fastest

OPEN_CLASSES = 20  # with more, a chart by class is folded away


def headline(data: ReportData) -> list[Figure]:
    """Return what the shipped model is worth: its accuracy and its fastest measurement."""
    items = []
    if data.accuracy:
        first, last = data.accuracy[0], data.accuracy[-1]
        items.append(Figure("mAP", score(last.mAP), f"{last.name}, IoU .50:.95"))
        items.append(Figure("mAP50", score(last.mAP50), f"{last.name}, IoU .50"))
        if last is not first:
            items.append(Figure("mAP kept", percent(last.mAP, of=first.mAP), f"of {first.name}"))
    best = fastest(data.latency)
    if best is not None:
        note = f"{best.backend}, {_threads(best.threads)}, median"
        items.append(Figure("Latency", f"{milliseconds(best.p50_ms)} ms", note))
        items.append(Figure("Model size", megabytes(best.size_bytes), best.model))
    return items


def accuracy_table(rows: Sequence[AccuracyRow]) -> Table:
    """Return the COCO metrics of every variant of the model."""
    reference = rows[0] if rows else AccuracyRow("", None, None)
    columns = (
        Column("Model", text=True),
        Column("mAP"),
        Column("mAP50"),
        Column(f"mAP of {reference.name}"),
    )
    cells = [
        (row.name, score(row.mAP), score(row.mAP50), percent(row.mAP, of=reference.mAP))
        for row in rows
    ]
    return Table(columns, cells, final_row=True)


def class_table(rows: Sequence[AccuracyRow]) -> Table:
    """Return the AP of every class; empty if no model has any."""
    labels = list(dict.fromkeys(label for row in rows for label in row.per_class))
    columns = (Column("Class", text=True), *(Column(row.name) for row in rows))
    cells = [(label, *(score(row.per_class.get(label)) for row in rows)) for label in labels]
    return Table(columns, cells, sortable=True)


def class_chart(rows: Sequence[AccuracyRow]) -> Chart | None:
    """Return the AP of every class."""
    labels = list(dict.fromkeys(label for row in rows for label in row.per_class))
    groups = [BarGroup(label, tuple(row.per_class.get(label) for row in rows)) for label in labels]
    fold = f"AP of {len(groups)} classes" if len(groups) > OPEN_CLASSES else ""
    names = [row.name for row in rows]
    return bar_chart("AP by class", groups, names, value_format=".3f", fold=fold)


def latency_table(rows: Sequence[LatencyRow]) -> Table:
    """Return time and size of every model, backend and thread count."""
    columns = (
        Column("Model", text=True, wraps=True),
        Column("Backend", text=True),
        Column("Threads"),
        Column("p50 ms"),
        Column("p90 ms"),
        Column("Size"),
    )
    cells = [
        (
            row.model,
            row.backend,
            str(row.threads),
            milliseconds(row.p50_ms),
            "-" if row.p90_ms is None else milliseconds(row.p90_ms),
            megabytes(row.size_bytes),
        )
        for row in rows
    ]
    return Table(columns, cells)


def latency_chart(rows: Sequence[LatencyRow]) -> Chart | None:
    """Return models beside each other under each setting, because that is what is compared."""
    models = list(dict.fromkeys(row.model for row in rows))
    settings = list(dict.fromkeys((row.backend, row.threads) for row in rows))
    p50 = {(row.model, row.backend, row.threads): row.p50_ms for row in rows}
    groups = [
        BarGroup(
            f"{backend}, {_threads(threads)}",
            tuple(p50.get((model, backend, threads)) for model in models),
        )
        for backend, threads in settings
    ]
    return bar_chart("Median latency, ms", groups, models, value_format=".2f", missing="")


def training_charts(losses: Sequence[LossPoint], points: Sequence[AccuracyPoint]) -> list[Chart]:
    """Return losses and validation accuracy over the steps of the training."""
    parts = [
        _series("total", ((p.step, p.total) for p in losses)),
        _series("class", ((p.step, p.cls) for p in losses)),
        _series("box", ((p.step, p.box) for p in losses)),
    ]
    if any(p.distance is not None for p in losses):
        parts.append(_series("distance to the teacher", ((p.step, p.distance) for p in losses)))
    loss = line_chart(
        "Training loss (logarithmic)",
        parts,
        x_label="step",
        log_y=True,
    )
    metric = line_chart(
        "Accuracy on the validation split",
        [
            _series("mAP", ((p.step, p.mAP) for p in points)),
            _series("mAP50", ((p.step, p.mAP50) for p in points)),
        ],
        x_label="step",
    )
    return [chart for chart in (loss, metric) if chart is not None]


def anchor_shapes(summary: AnchorSummary) -> Table:
    """Return the shapes of every level."""
    columns = (
        Column("Level", text=True),
        Column("Stride"),
        Column("height × width, pixels", text=True, wraps=True),
    )
    rows = [
        (f"P{level}", str(2**level), ", ".join(_shape(*shape) for shape in shapes))
        for level, shapes in summary.shapes.items()
    ]
    return Table(columns, rows)


def anchor_coverage(summary: AnchorSummary) -> Table:
    """Return how well each set of anchors covers the objects."""
    sets = summary.coverage.values()
    names = list(dict.fromkeys(name for figures in sets for name in figures))
    columns = (Column("Coverage", text=True), *(Column(kind) for kind in summary.coverage))
    rows = [
        (_figure_name(name), *(_plain_number(figures.get(name)) for figures in sets))
        for name in names
    ]
    return Table(columns, rows)


def environment_table(values: Mapping[str, Any]) -> Table:
    """Return the machine and the versions."""
    columns = (Column("", text=True), Column("", text=True, wraps=True))
    rows = [(name.replace("_", " "), _plain_value(value)) for name, value in values.items()]
    return Table(columns, rows)


def _threads(count: int) -> str:
    return f"{count} thread" if count == 1 else f"{count} threads"


def _series(name: str, values: Iterable[tuple[int, float | None]]) -> Series:
    return Series(name, tuple((float(step), value) for step, value in values if value is not None))


def _shape(height: float, width: float) -> str:
    return f"{height:.0f}\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}{width:.0f}"


def _figure_name(name: str) -> str:
    return name.replace("_", " ").replace("iou", "IoU").replace("at 40", "at IoU .4")


def _plain_value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain_value(item)}" for name, item in value.items())
    if isinstance(value, float):
        return f"{value:.3g}"
    return "unknown" if value is None else str(value)


def _plain_number(value: float | None) -> str:
    if value is None:
        return MISSING
    return str(value) if isinstance(value, int) else f"{value:.3f}"
