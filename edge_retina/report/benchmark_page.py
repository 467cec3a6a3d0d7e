"""The pages of a benchmark, HTML and Markdown, made of its JSON document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from edge_retina.benchmark.warnings import warnings_by_code
from edge_retina.report.benchmark_document import (
    Result,
    backend_name,
    middle_ms,
    rated,
    result_key,
    result_titles,
    short_names,
)
from edge_retina.report.benchmark_tables import (
    baseline_table,
    comparisons_table,
    details_table,
    results_table,
)
from edge_retina.report.charts import BarGroup, Chart, bar_chart
from edge_retina.report.markdown import markdown_table
from edge_retina.report.measurement_charts import (
    Mark,
    Marks,
    Stack,
    Strip,
    distribution_chart,
    scatter_chart,
    stacked_chart,
)
from edge_retina.report.pages import render_template
from edge_retina.report.pictures import Tile
from edge_retina.report.sections import environment_table
from edge_retina.report.tables import Figure, Table, megabytes, milliseconds, score

_STAGES = ("preprocess", "inference", "postprocess")
_OPERATORS = 12  # shown of each result; the rest is small
_METHOD = (
    "Latency is from a decoded picture to its detections, over interleaved rounds, each in a fresh "
    "process. “of float”: time relative to the float32 .tflite with the same threads and backend "
    "(for Keras, XNNPACK). Intervals of mAP are over the choice of the pictures."
)


@dataclass(frozen=True)
class Differing:
    """Pictures on which float and int8 differ.

    Attributes:
        one, other: the models left and right, for the reader.
        threshold: of the scores drawn.
        tiles: most different first.
    """

    one: str
    other: str
    threshold: float
    tiles: Sequence[Tile]


def render_benchmark_page(
    document: Mapping[str, Any], *, title: str = "", differing: Differing | None = None
) -> str:
    """Return the HTML page.

    Args:
        document: of `benchmark`, see `read_benchmark`.
        title: heading; "" for the models' names.
        differing: pictures, which the document does not hold.
    """
    results = document["results"]
    heading = title or _title(document)
    return render_template(
        "benchmark.html.j2",
        title=heading,
        window_title=heading,
        subtitle=_subtitle(document),
        headline=_headline(document),
        notes=_notes(document),
        results=results_table(document),
        method=_METHOD,
        scatters=_scatters(results),
        distributions=_distributions(results),
        stages=_stages(results),
        operators=_operators(results),
        comparisons=comparisons_table(document),
        baseline=baseline_table(document),
        details=details_table(document),
        differing=differing,
        environment=environment_table(document["environment"]),
    )


def benchmark_markdown(document: Mapping[str, Any], *, title: str = "") -> str:
    """Return the tables of the page as Markdown."""
    parts = [f"# {title or _title(document)}\n", f"{_subtitle(document)}\n"]
    notes = "".join(f"- {note}\n" for note in _notes(document))
    sections = [
        ("", _markdown(results_table(document))),
        ("", f"{_METHOD}\n"),
        ("To know before believing this", notes),
        ("Against the float model", _markdown(comparisons_table(document))),
        ("Against the older benchmark", _markdown(baseline_table(document))),
        ("Details", _markdown(details_table(document))),
        ("Environment", _markdown(environment_table(document["environment"]))),
    ]
    for heading, text in sections:
        if text:
            parts.append(f"## {heading}\n\n{text}" if heading else text)
    return "\n".join(parts)


def _markdown(table: Table) -> str:
    return markdown_table([column.name for column in table.columns], table.rows) if table else ""


def _title(document: Mapping[str, Any]) -> str:
    """Return the title that a suite has noted, or the models' names."""
    if document.get("title"):
        return str(document["title"])
    models = dict.fromkeys(result["model"] for result in document["results"])
    return "Benchmark: " + ", ".join(short_names(list(models)).values())


def _subtitle(document: Mapping[str, Any]) -> str:
    environment = document["environment"]
    cores = environment.get("cores")
    machine = str(environment.get("cpu", "unknown machine"))
    device = document.get("device", "local")
    parts = [machine if device == "local" else f"{device}: {machine}"]
    if cores:
        parts.append(f"{cores} core" if cores == 1 else f"{cores} cores")
    images = max((result.get("images", 0) for result in document["results"]), default=0)
    if images:
        data = document.get("data") or {}
        name = " ".join(filter(None, (PurePath(data.get("path", "")).name, data.get("split"))))
        parts.append(f"mAP on {images} pictures" + (f" of {name}" if name else ""))
    return ", ".join(parts) + "."


def _headline(document: Mapping[str, Any]) -> list[Figure]:
    results = document["results"]
    names = dict(zip(map(result_key, results), result_titles(results), strict=True))
    int8 = [result for result in results if result["precision"] == "int8"]
    fastest = min(int8 or results, key=middle_ms)
    latency = f"{milliseconds(middle_ms(fastest))} ms"
    items = [Figure("Fastest int8" if int8 else "Fastest", latency, names[result_key(fastest)])]
    against = next(
        (x for x in document["comparisons"] if result_key(x) == result_key(fastest)), None
    )
    if against is not None:
        note = "relative to float32, same backend and threads"
        if against["low"] is not None:
            note = f"95 %: {against['low']:.2f} to {against['high']:.2f}; {note}"
        items.append(Figure("Its time", f"× {against['ratio']:.2f}", note))
    if fastest.get("mAP") is not None:
        items.append(Figure("Its mAP", score(fastest["mAP"]), _interval_note(fastest)))
    if against is not None and against.get("mAP_difference") is not None:
        value = f"{against['mAP_difference']:+.3f}".replace("-", "−")
        items.append(Figure("mAP against float32", value, _difference_note(against)))
    items.append(Figure("Its size", megabytes(fastest["size_bytes"])))
    return items


def _interval_note(result: Result) -> str:
    if result.get("mAP_low") is None:
        return f"on {result['images']} pictures"
    return f"95 %: {result['mAP_low']:.3f} to {result['mAP_high']:.3f}"


def _difference_note(comparison: Result) -> str:
    low, high = comparison["mAP_difference_low"], comparison["mAP_difference_high"]
    if low is None:
        return "interval unknown"
    return f"95 %: {low:+.3f} to {high:+.3f}".replace("-", "−")


def _notes(document: Mapping[str, Any]) -> list[str]:
    """Return what is missing, and a sentence for each kind of warning."""
    results = document["results"]
    missing = document.get("missing")
    lines = [missing] if missing else []
    for texts in warnings_by_code(results).values():
        many = f" (so {len(texts)} of {len(results)} results)" if len(texts) < len(results) else ""
        lines.append(texts[0] + many)
    return lines


def _scatters(results: Sequence[Result]) -> list[Chart]:
    """Return accuracy over latency, and over size."""
    with_time: dict[str, list[Mark]] = {}
    with_size: dict[str, dict[float, Mark]] = {}
    names = short_names([result["model"] for result in results])
    for result in rated(results):
        name = f"{names[result['model']]}, {backend_name(result['backend'])}"
        y = (result["mAP"], result.get("mAP_low"), result.get("mAP_high"))
        threads = str(result["threads"])
        with_time.setdefault(name, []).append(Mark(middle_ms(result), *y, threads))
        size = result["size_bytes"] / 1e6  # the same for every number of threads
        with_size.setdefault(name, {})[size] = Mark(size, *y)
    charts = [
        scatter_chart(
            "mAP against latency; the number beside a point is that of threads",
            [Marks(name, tuple(marks)) for name, marks in with_time.items()],
            x_label="median latency, ms",
        ),
        scatter_chart(
            "mAP against the file's size",
            [Marks(name, tuple(marks.values())) for name, marks in with_size.items()],
            x_label="MB",
        ),
    ]
    return [chart for chart in charts if chart is not None]


def _distributions(results: Sequence[Result]) -> Chart | None:
    colours: dict[tuple[str, str], int] = {}  # those of the points above
    strips = []
    for result, title in zip(results, result_titles(results), strict=True):
        latency = result["latency_ms"]
        colour = colours.setdefault((result["model"], result["backend"]), len(colours))
        strips.append(Strip(title, latency["samples"], middle_ms(result), latency["p90"], colour))
    return distribution_chart("All times that were measured", strips, x_label="ms")


def _stages(results: Sequence[Result]) -> Chart | None:
    stacks = [
        Stack(title, tuple(result["stages_ms"][name] for name in _STAGES))
        for result, title in zip(results, result_titles(results), strict=True)
        if result.get("stages_ms")
    ]
    return stacked_chart("Parts of a detection, medians in ms", stacks, _STAGES, value_format=".2f")


def _operators(results: Sequence[Result]) -> list[Chart]:
    """Return a chart for each model and backend whose operators were timed, of its fewest threads.

    Other thread counts of it would only repeat the same picture.
    """
    charts: dict[tuple[str, str], Chart | None] = {}
    for result, title in zip(results, result_titles(results), strict=True):
        key = result["model"], result["backend"]
        if not result.get("op_profile") or key in charts:
            continue
        operators = sorted(result["op_profile"], key=lambda item: -item["mean_ms"])
        groups = [
            BarGroup(f"{item['name']} × {item['count']}", (item["mean_ms"],))
            for item in operators[:_OPERATORS]
        ]
        name = f"{title}: ms in each type of operator"
        charts[key] = bar_chart(name, groups, ["ms"], value_format=".3f")
    return [chart for chart in charts.values() if chart is not None]
