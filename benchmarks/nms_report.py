"""The result of nms_designs.py as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from edge_retina.report.markdown import markdown_table

_BUSY_LOAD = 0.5  # cores that were busy before the start
# What `export.detection_graph` does; results keep it, so that an older one is not taken for it.
SHIPPED_FORM = (
    "top-k over (anchor, class) pairs whose values below the threshold are made equal; where there "
    "are many, over the anchors first"
)


def markdown(result: dict[str, Any]) -> str:
    """Return the tables with what they say, without the samples."""
    if not _is_current(result):
        result = _renamed(result, "**shipped**", "**shipped then**")
    lines = [
        "# Decoding and NMS: designs",
        "",
        f"Written by `{result['command'].strip()}`, {_machine(result['environment'])}",
        "",
        *_timing(result),
        *_correctness(result),
    ]
    for record in result["accuracy"]:
        lines += _accuracy(record)
    return "\n".join(lines).rstrip() + "\n"


def _is_current(result: dict[str, Any]) -> bool:
    """Whether exports still write the graph that was measured as the shipped one."""
    return bool(result.get("shipped_form") == SHIPPED_FORM)


def _renamed(tree: Any, old: str, new: str) -> Any:
    """Return a copy of a result with another text in the names of designs."""
    if isinstance(tree, dict):
        return {key.replace(old, new): _renamed(value, old, new) for key, value in tree.items()}
    return [_renamed(item, old, new) for item in tree] if isinstance(tree, list) else tree


def _shipped_text(result: dict[str, Any]) -> str:
    """Say what the shipped design is, and whether it still is."""
    if _is_current(result):
        return f"**shipped** is what `edge-retina export` writes: {SHIPPED_FORM}."
    form = result.get("shipped_form", "one top-k over all (anchor, class) pairs, as they are")
    return (
        f"**shipped then** is what `edge-retina export` wrote when this was measured: {form}. "
        f"Today it writes another graph: {SHIPPED_FORM}. [file_speed.md](file_speed.md) has the "
        "time of whole files before and after that, which also changed how pixels become int8."
    )


def _machine(environment: dict[str, Any]) -> str:
    packages = environment["packages"]
    load = environment["load_average"]
    busy = (
        f"; other work kept {load:.1f} cores busy at the start, so look at the ratios"
        if load > _BUSY_LOAD
        else ""
    )
    return (
        f"on {environment['cpu']}, {environment['cores']} cores, LiteRT "
        f"{packages['ai-edge-litert']}, TensorFlow {packages['tensorflow']}{busy}."
    )


def _timing(result: dict[str, Any]) -> list[str]:
    settings = result["settings"]
    lines = [
        "## Time",
        "",
        _shipped_text(result),
        "",
        "One run of decoding and NMS alone in ms, and how many times as long as the shipped design "
        f"(geometric mean over {result['rounds']} interleaved rounds). Score "
        f"threshold {settings['score_threshold']}, IoU {settings['nms_iou']}, "
        f"{settings['max_detections']} rows. The shipped graph also shifts all logits and scales "
        "all codes, by which int8 heads are dequantised level by level; the others don't.",
    ]
    for threads in next(iter(result["cases"][0]["designs"].values()))["time"]:
        head = ["design", *(_title(case) for case in result["cases"])]
        rows = [
            [name, *(_time(case["designs"][name]["time"][threads]) for case in result["cases"])]
            for name in result["cases"][0]["designs"]
        ]
        plural = "" if threads == "1" else "s"
        widest = _widest_interval(result, threads)
        lines += [
            "",
            f"{threads} thread{plural}, anchors × classes (95 % intervals of the ratios are in the "
            f"JSON; the widest is ±{widest:.0%}):",
            "",
            markdown_table(head, rows).rstrip(),
        ]
    return [*lines, ""]


def _time(found: dict[str, Any]) -> str:
    return f"{found['median_ms']:.2f} (×{found['ratio_to_shipped']['value']:.2f})"


def _widest_interval(result: dict[str, Any], threads: str) -> float:
    """Return the largest half width of a ratio's interval, as a share of the ratio."""
    ratios = [
        design["time"][threads]["ratio_to_shipped"]
        for case in result["cases"]
        for design in case["designs"].values()
    ]
    known = [ratio for ratio in ratios if ratio["low"] is not None]
    return max(((ratio["high"] / ratio["value"] - 1) for ratio in known), default=float("nan"))


def _correctness(result: dict[str, Any]) -> list[str]:
    cases = result["cases"]
    head = ["design", *(_title(case) for case in cases), "threads that give other detections"]
    rows = [
        [name, *(_found(case["designs"][name]) for case in cases), _threads(cases, name)]
        for name in cases[0]["designs"]
    ]
    candidates = [[_title(case), _spread(case["candidates_above_threshold"])] for case in cases]
    threads = ", ".join(map(str, result["threads"]))
    return [
        "## The same detections?",
        "",
        "Share of the reference's rows (numpy, every pair above the threshold a candidate) that a "
        f"design has too, with one thread: class, score and box within 1e-5; {result['inputs']} "
        "made-up pictures each. What a limit of candidates costs are the rows of the lowest "
        f"scores. The last column: of {threads} threads, those with other detections than one.",
        "",
        markdown_table(head, rows).rstrip(),
        "",
        "Candidates above the threshold in these pictures (median, smallest–largest): "
        + "; ".join(f"{title}: {spread}" for title, spread in candidates)
        + ".",
        "",
        "Cheapest with the reference's rows at every number of threads:",
        "",
        *(f"- {_title(case)}: {_cheapest(case)}" for case in cases),
        "",
    ]


def _cheapest(case: dict[str, Any]) -> str:
    """Name the fastest design, by one thread, among those that find all rows."""
    complete = {
        name: design["time"]["1"]["median_ms"]
        for name, design in case["designs"].items()
        if set(design["reference_rows_found"].values()) == {design["reference_rows"]}
    }
    if not complete:
        return "none"
    name = min(complete, key=lambda name: complete[name])
    return f"{name}, {complete[name]:.2f} ms"


def _found(design: dict[str, Any]) -> str:
    share = design["reference_rows_found"]["1"] / design["reference_rows"]
    return f"{share:.1%}" if share < 1 else "**all**"


def _threads(cases: Iterable[dict[str, Any]], name: str) -> str:
    differing = sorted(
        {threads for case in cases for threads in case["designs"][name]["threads_that_differ"]}
    )
    return ", ".join(map(str, differing)) if differing else "none"


def _accuracy(record: dict[str, Any]) -> list[str]:
    reference = record["reference"]
    columns = list(next(iter(record["designs"].values())))
    head = ["design", *(f"mAP, {n} thread{'s'[: int(n) - 1]}" for n in columns), "mAP50", "− ref."]
    rows = [["numpy reference, no limit of candidates", *_score_cells(reference, columns)]]
    limited = record["reference_limited"]
    rows.append(
        [
            f"numpy reference, {limited['candidates']:,} candidates",
            *_score_cells(limited, columns)[:-1],
            f"{limited['mAP'] - reference['mAP']:+.5f}",
        ]
    )
    for name, by_threads in record["designs"].items():
        scores = [f"{by_threads[n]['mAP']:.4f}" for n in columns]
        first = by_threads[columns[0]]
        difference = first["mAP"] - reference["mAP"]
        rows.append([name, *scores, f"{first['mAP50']:.4f}", f"{difference:+.5f}"])
    return [
        f"## mAP on real head outputs: {record['run']}",
        "",
        f"Float model of runs/{record['run']}, {record['images']} pictures of the test split, "
        f"{record['anchors']:,} anchors, {record['classes']} classes; candidates above the "
        f"threshold in a picture: {_spread(record['candidates_above_threshold'])}.",
        "",
        markdown_table(head, rows).rstrip(),
        "",
    ]


def _score_cells(reference: dict[str, float], columns: Sequence[str]) -> list[str]:
    return [*[f"{reference['mAP']:.4f}"] * len(columns), f"{reference['mAP50']:.4f}", ""]


def _title(case: dict[str, Any]) -> str:
    return f"{case['anchors']:,} × {case['classes']}"


def _spread(counts: Sequence[int]) -> str:
    return f"{np.median(counts):,.0f}, {min(counts):,}–{max(counts):,}"
