"""The sections of a report; each is HTML, or empty where there is nothing to show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import tomli_w

from edge_retina.report.charts import BarGroup, Series, bar_chart, line_chart
from edge_retina.report.data import (
    AccuracyRow,
    AnchorSummary,
    ExamplePictures,
    LatencyRow,
    ReportData,
)
from edge_retina.report.metrics_log import AccuracyPoint, LossPoint
from edge_retina.report.pictures import data_uri
from edge_retina.report.tables import (
    Column,
    Figure,
    figures,
    megabytes,
    milliseconds,
    percent,
    score,
    table,
)

_OPEN_CLASSES = 20  # with more, the chart by class is folded away


def headline(data: ReportData) -> str:
    """What the shipped model is worth: the last accuracy row and its fastest measurement."""
    items = []
    if data.accuracy:
        first, last = data.accuracy[0], data.accuracy[-1]
        items.append(Figure("mAP", score(last.mAP), f"{last.name}, IoU .50:.95"))
        items.append(Figure("mAP50", score(last.mAP50), f"{last.name}, IoU .50"))
        if last is not first:
            items.append(Figure("mAP kept", percent(last.mAP, of=first.mAP), f"of {first.name}"))
    fastest = _fastest(data.latency)
    if fastest is not None:
        note = f"{fastest.backend}, {_threads(fastest.threads)}, median"
        items.append(Figure("Latency", f"{milliseconds(fastest.p50_ms)} ms", note))
        items.append(Figure("Model size", megabytes(fastest.size_bytes), fastest.model))
    return f'<section class="plain">{figures(items)}</section>' if items else ""


def _fastest(rows: Sequence[LatencyRow]) -> LatencyRow | None:
    int8 = [row for row in rows if row.precision == "int8"]
    return min(int8 or rows, key=lambda row: row.p50_ms, default=None)


def notes(sentences: Sequence[str]) -> str:
    """What the reader should know first."""
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f'<section class="notes"><ul>{items}</ul></section>' if items else ""


def accuracy(rows: Sequence[AccuracyRow]) -> str:
    """COCO metrics of every form of the model, and by class."""
    if not rows:
        return ""
    columns = [
        Column("Model", text=True),
        Column("mAP"),
        Column("mAP50"),
        Column(f"mAP of {rows[0].name}"),
    ]
    cells = [
        (row.name, score(row.mAP), score(row.mAP50), percent(row.mAP, of=rows[0].mAP))
        for row in rows
    ]
    return _section(
        "Accuracy",
        _columns(f"<div>{table(columns, cells, final_row=True)}</div>", _class_chart(rows)),
    )


def _class_chart(rows: Sequence[AccuracyRow]) -> str:
    labels = list(dict.fromkeys(label for row in rows for label in row.per_class))
    groups = [BarGroup(label, tuple(row.per_class.get(label) for row in rows)) for label in labels]
    chart = bar_chart("AP by class", groups, [row.name for row in rows], value_format=".3f")
    if len(groups) <= _OPEN_CLASSES:
        return chart
    return f"<details><summary>AP of {len(groups)} classes</summary>{chart}</details>"


def latency(rows: Sequence[LatencyRow]) -> str:
    """Time and size of every model, backend and thread count."""
    if not rows:
        return ""
    columns = [
        Column("Model", text=True),
        Column("Backend", text=True),
        Column("Threads"),
        Column("p50 ms"),
        Column("p90 ms"),
        Column("Size"),
    ]
    cells = [
        (
            row.model,
            row.backend,
            str(row.threads),
            milliseconds(row.p50_ms),
            milliseconds(row.p90_ms),
            megabytes(row.size_bytes),
        )
        for row in rows
    ]
    caveat = (
        '<p class="soft">Measured on the machine named under “Environment”; a phone differs.</p>'
    )
    return _section("Latency", table(columns, cells), _latency_chart(rows), caveat)


def _latency_chart(rows: Sequence[LatencyRow]) -> str:
    """Models beside each other under each setting, because that is what is compared."""
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
    return bar_chart("Median latency, ms", groups, models, value_format=".2f")


def _threads(count: int) -> str:
    return f"{count} thread" if count == 1 else f"{count} threads"


def curves(losses: Sequence[LossPoint], points: Sequence[AccuracyPoint]) -> str:
    """How training went."""
    loss = line_chart(
        "Training loss (logarithmic)",
        [
            _series("total", ((p.step, p.total) for p in losses)),
            _series("class", ((p.step, p.cls) for p in losses)),
            _series("box", ((p.step, p.box) for p in losses)),
        ],
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
    return _section("Training", _columns(loss, metric)) if loss or metric else ""


def _series(name: str, points: Iterable[tuple[int, float | None]]) -> Series:
    return Series(name, tuple((float(step), value) for step, value in points if value is not None))


def examples(pictures: Sequence[ExamplePictures]) -> str:
    """Ground truth and detections side by side."""
    if not pictures:
        return ""
    pairs = "".join(
        f'<figure class="pair"><figcaption>{escape(item.title)}</figcaption><div class="pictures">'
        f'<div><img src="{data_uri(item.ground_truth)}" alt="ground truth of {escape(item.title)}">'
        "<span>ground truth</span></div>"
        f'<div><img src="{data_uri(item.detections)}" alt="detections in {escape(item.title)}">'
        "<span>detections</span></div></div></figure>"
        for item in pictures
    )
    return _section("Examples", _columns(pairs))


def anchors(summary: AnchorSummary | None) -> str:
    """Anchor shapes by level, and how well they cover the objects."""
    if summary is None:
        return ""
    shapes = table(
        [Column("Level", text=True), Column("Stride"), Column("height × width, pixels", text=True)],
        [
            (f"P{level}", str(2**level), ",  ".join(f"{h:.0f} × {w:.0f}" for h, w in of_level))
            for level, of_level in summary.shapes.items()
        ],
    )
    names = list(dict.fromkeys(name for known in summary.coverage.values() for name in known))
    coverage = table(
        [Column("Coverage", text=True), *(Column(kind) for kind in summary.coverage)],
        [
            (
                name.replace("_", " "),
                *(_plain_number(of.get(name)) for of in summary.coverage.values()),
            )
            for name in names
        ],
    )
    return _section("Anchors", _columns(f"<div>{shapes}</div>", f"<div>{coverage}</div>"))


def config(tree: Mapping[str, Any]) -> str:
    """The resolved config as TOML, folded away."""
    if not tree:
        return ""
    text = escape(tomli_w.dumps(tree))
    return f"<section><details><summary>Config</summary><pre>{text}</pre></details></section>"


def environment(values: Mapping[str, Any]) -> str:
    """The machine and the versions."""
    rows = [(name.replace("_", " "), _plain_value(value)) for name, value in values.items()]
    columns = [Column("", text=True), Column("", text=True)]
    return _section("Environment", table(columns, rows)) if rows else ""


def _plain_value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain_value(item)}" for name, item in value.items())
    return "unknown" if value is None else str(value)


def _plain_number(value: float | None) -> str:
    if value is None:
        return "–"
    return str(value) if isinstance(value, int) else f"{value:.3f}"


def _columns(*content: str) -> str:
    return f'<div class="columns">{"".join(content)}</div>'


def _section(title: str, *content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{''.join(content)}</section>"
