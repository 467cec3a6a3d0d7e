"""What a benchmark's pages show as tables, and all of it as one flat table for other programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

from edge_retina.report.benchmark_document import (
    Result,
    ResultKey,
    backend_name,
    middle_ms,
    result_key,
    result_titles,
    short_names,
)
from edge_retina.report.tables import MISSING, Column, Table, milliseconds, score


def results_table(document: Mapping[str, Any]) -> Table:
    """Return what decides between the models: times, accuracy with its interval, size."""
    results = document["results"]
    names = short_names([result["model"] for result in results])
    compared = _comparisons(document)
    columns = (
        Column("Model", text=True, wraps=True),
        Column("backend", text=True),
        Column("threads"),
        Column("p50 ms"),
        Column("p90 ms"),
        Column("of float"),
        Column("mAP"),
        Column("mAP 95 %"),
        Column("mAP50"),
        Column("MB"),
    )
    rows = [
        (
            names[result["model"]],
            backend_name(result["backend"]),
            str(result["threads"]),
            milliseconds(middle_ms(result)),
            _ms(result["latency_ms"]["p90"]),
            _ratio(compared.get(result_key(result))),
            score(result.get("mAP")),
            _range(result.get("mAP_low"), result.get("mAP_high")),
            score(result.get("mAP50")),
            f"{result['size_bytes'] / 1e6:.2f}",
        )
        for result in results
    ]
    return Table(columns, rows, named=True)


def comparisons_table(document: Mapping[str, Any]) -> Table:
    """Return what each model takes and gives relative to its float32 one, with intervals."""
    comparisons = document["comparisons"]
    columns = (
        Column("Against the float32 .tflite", text=True, wraps=True),
        Column("time"),
        Column("time 95 %"),
        Column("verdict", text=True),
        Column("mAP"),
        Column("mAP 95 %"),
    )
    rows = [
        (
            title,
            _ratio(item),
            _range(item["low"], item["high"], digits=2),
            item["verdict"],
            _signed(item.get("mAP_difference")),
            _range(item.get("mAP_difference_low"), item.get("mAP_difference_high"), signed=True),
        )
        for item, title in zip(comparisons, result_titles(comparisons), strict=True)
    ]
    return Table(columns, rows, named=True)


def baseline_table(document: Mapping[str, Any]) -> Table:
    """Return the results beside those of an older benchmark, where it was compared with one."""
    older = document.get("baseline", ())
    columns = (
        Column("Against the older benchmark", text=True, wraps=True),
        Column("before ms"),
        Column("now ms"),
        Column("time"),
        Column("time 95 %"),
        Column("verdict", text=True),
        Column("file", text=True),
    )
    rows = [
        (
            title,
            _ms(item["before_ms"]),
            _ms(item["now_ms"]),
            _ratio(item),
            _range(item["low"], item["high"], digits=2),
            item["verdict"],
            "the same" if item["same_file"] else "another",
        )
        for item, title in zip(older, result_titles(older), strict=True)
    ]
    return Table(columns, rows, named=True)


def details_table(document: Mapping[str, Any]) -> Table:
    """Return the rest of what was measured of each result."""
    results = document["results"]
    columns = (
        Column("", text=True, wraps=True),
        Column("n"),
        Column("min ms"),
        Column("mean ms"),
        Column("sd ms"),
        Column("p99 ms"),
        Column("open ms"),
        Column("first ms"),
        Column("peak MB"),
        Column("in the delegate", text=True),
    )
    rows = []
    for result, title in zip(results, result_titles(results), strict=True):
        latency = result["latency_ms"]
        rows.append(
            (
                title,
                str(latency["n"]),
                _ms(latency["min"]),
                _ms(latency["mean"]),
                _ms(latency["stdev"]),
                _ms(latency["p99"]),
                _ms(result["init_ms"]),
                _ms(result.get("first_inference_ms")),
                _number(result.get("peak_memory_mb"), "{:.0f}"),
                _delegate(result.get("delegate")),
            )
        )
    return Table(columns, rows, named=True)


def results_csv(document: Mapping[str, Any]) -> str:
    """Return one line for each result, with a head; what is not known is empty."""
    compared = _comparisons(document)
    rows = [_flat(result, compared.get(result_key(result))) for result in document["results"]]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _flat(result: Result, comparison: Result | None) -> dict[str, object]:
    latency, stages = result["latency_ms"], result.get("stages_ms") or {}
    delegate = result.get("delegate") or {}
    accuracy = ("mAP", "mAP_low", "mAP_high", "mAP50", "images")
    relative = ("low", "high", "verdict")
    difference = ("mAP_difference", "mAP_difference_low", "mAP_difference_high")
    against = comparison or {}
    return {
        **{name: result[name] for name in ("model", "precision", "backend", "threads")},
        "sha256": result.get("sha256"),
        "size_bytes": result["size_bytes"],
        **{f"{name}_ms": latency[name] for name in ("p50", "p90", "p99", "mean", "stdev", "min")},
        "n": latency["n"],
        **{f"{name}_ms": stages.get(name) for name in ("preprocess", "inference", "postprocess")},
        "init_ms": result["init_ms"],
        "first_inference_ms": result.get("first_inference_ms"),
        "peak_memory_mb": result.get("peak_memory_mb"),
        "delegate": delegate.get("name"),
        **{name: delegate.get(name) for name in ("partitions", "nodes_delegated", "nodes_total")},
        **{name: result.get(name) for name in accuracy},
        "reference": against.get("reference"),
        "reference_backend": against.get("reference_backend"),
        "ratio": against.get("ratio"),
        **{f"ratio_{name}": against.get(name) for name in relative},
        **{name: against.get(name) for name in difference},
        "warnings": " ".join(result.get("warning_codes", ())),
    }


def _comparisons(document: Mapping[str, Any]) -> dict[ResultKey, Result]:
    return {result_key(item): item for item in document["comparisons"]}


def _delegate(info: Mapping[str, Any] | None) -> str:
    if info is None:
        return MISSING
    parts = info["partitions"]
    plural = "" if parts == 1 else "s"
    return f"{info['nodes_delegated']} of {info['nodes_total']} nodes, {parts} part{plural}"


def _ms(value: float | None) -> str:
    return MISSING if value is None else milliseconds(value)


def _number(value: float | None, form: str) -> str:
    return MISSING if value is None else form.format(value)


def _ratio(comparison: Result | None) -> str:
    return MISSING if comparison is None else f"{comparison['ratio']:.2f}"


def _signed(value: float | None) -> str:
    return MISSING if value is None else f"{value:+.3f}".replace("-", "−")


def _range(low: float | None, high: float | None, *, digits: int = 3, signed: bool = False) -> str:
    if low is None or high is None:
        return MISSING
    form = f"{'+' if signed else ''}.{digits}f"
    return f"{low:{form}} to {high:{form}}".replace("-", "−")
