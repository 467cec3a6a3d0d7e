"""The pages of a benchmark: what they say, and that they stand alone."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

import pytest

from edge_retina.report.benchmark_page import (
    Differing,
    benchmark_markdown,
    render_benchmark_page,
)
from edge_retina.report.benchmark_tables import (
    comparisons_table,
    details_table,
    results_csv,
    results_table,
)
from edge_retina.report.pictures import Tile
from tests.report.benchmark_documents import document, result
from tests.report.test_html import Page


def test_the_table_holds_times_accuracy_and_ratios() -> None:
    table = results_table(document())
    names = [column.name for column in table.columns]
    rows = [dict(zip(names, row, strict=True)) for row in table.rows]
    assert rows[0] == {
        "Model": "x_float32.tflite",
        "backend": "xnnpack",
        "threads": "1",
        "p50 ms": "4.20",
        "p90 ms": "4.62",
        "of float": "–",
        "mAP": "0.579",
        "mAP 95 %": "0.551 to 0.604",
        "mAP50": "0.891",
        "MB": "2.50",
    }
    assert [row["of float"] for row in rows] == ["–", "–", "0.50", "0.84"]


def test_differences_have_their_signs_and_intervals() -> None:
    assert comparisons_table(document()).rows[0] == (
        "x_int8.tflite, xnnpack, 1 thread",
        "0.50",
        "0.40 to 0.60",
        "faster",
        "−0.001",
        "−0.006 to +0.004",
    )


def test_details_say_what_the_delegate_took() -> None:
    taken = [row[-1] for row in details_table(document()).rows]
    assert taken == ["60 of 66 nodes, 2 parts", "–", "60 of 66 nodes, 2 parts", "–"]


def test_the_page_stands_alone_and_is_well_formed() -> None:
    page = render_benchmark_page(document())
    parsed = Page(page)
    assert not parsed.open
    assert "script" not in parsed.tags
    assert "link" not in parsed.tags
    for name, value in parsed.attributes:
        assert name not in ("href", "srcset")
        assert name != "src" or value.startswith("data:")
    assert 'name="viewport"' in page


def test_the_page_shows_every_part() -> None:
    text = Page(render_benchmark_page(document())).text
    for part in (
        "Benchmark: x_float32.tflite, x_int8.tflite",
        "Some <CPU>, 2 cores, mAP on 72 pictures of bccd test.",
        "2.10 ms",  # the fastest int8 one
        "× 0.50",
        "95 %: 0.40 to 0.60; relative to float32, same backend and threads",
        "95 %: −0.006 to +0.004",
        "mAP against latency",
        "mAP against the file's size",
        "All times that were measured",
        "Parts of a detection, medians in ms",
        "Environment",
        "numpy 2.0",
    ):
        assert part in text
    assert "disagree" not in text
    assert "operator" not in text


def test_what_was_not_measured_is_left_out() -> None:
    """A phone without data: a mean, no samples, no stages, no accuracy, one model."""
    bare = result("x_int8.tflite", "adb:1", 1, 2.0, mAP=None, mAP50=None, images=0)
    latency = {**bare["latency_ms"], "p50": None, "p90": None, "p99": None, "samples": []}
    bare.update(latency_ms=latency, stages_ms=None, peak_memory_mb=None)
    for name in ("mAP_low", "mAP_high", "first_inference_ms", "delegate"):
        del bare[name]
    lone = document(results=[bare], comparisons=[], data=None, device="adb:1", missing="lost")
    text = Page(render_benchmark_page(lone)).text
    assert "adb:1: Some <CPU>, 2 cores." in text
    assert "mAP against" not in text
    assert "Against the float model" not in text
    assert "Parts of a detection" not in text
    assert "lost" in text
    assert f"| x_int8.tflite | adb:1 | 1 | {latency['mean']:.2f} | – |" in benchmark_markdown(lone)
    (row,) = csv.DictReader(io.StringIO(results_csv(lone)))
    assert (row["p50_ms"], row["mAP"], row["delegate"]) == ("", "", "")


def test_warnings_of_one_kind_are_one_sentence() -> None:
    tree = document()
    for number, item in enumerate(tree["results"][:3]):
        item.update(warnings=[f"noisy: {number} %"], warning_codes=["noisy"])
    for item in tree["results"]:
        item["warnings"] = [*item["warnings"], "busy"]
        item["warning_codes"] = [*item["warning_codes"], "busy"]
    text = Page(render_benchmark_page(tree)).text
    assert "noisy: 0 % (so 3 of 4 results)" in text
    assert "noisy: 1 %" not in text
    assert "- busy\n" in benchmark_markdown(tree)


def test_operators_are_shown_once_for_each_model_and_backend() -> None:
    tree = document()
    for threads, item in ((1, tree["results"][0]), (2, tree["results"][2])):
        item["op_profile"] = [
            {"name": f"OP{number}", "count": 2, "mean_ms": float(number)} for number in range(20)
        ]
        item["threads"] = threads
    tree["results"].append({**tree["results"][0], "threads": 4})
    page = render_benchmark_page(tree)
    titles = re.findall(r"<figcaption>([^<]*): ms in each type of operator", page)
    assert titles == ["x_float32.tflite, xnnpack, 1 thread", "x_int8.tflite, xnnpack, 2 threads"]
    assert page.count("OP19 × 2") == 2
    assert "OP7 ×" not in page  # only the longest


def test_pictures_are_shown_where_there_are_some() -> None:
    tile = Tile("data:image/jpeg;base64,AA==", "a.jpg: 3 only in one of the two", "a.jpg")
    differing = Differing("x_float32, xnnpack", "x_int8, xnnpack", 0.38, [tile])
    parsed = Page(render_benchmark_page(document(), differing=differing))
    assert ("src", tile.source) in parsed.attributes
    assert "Left x_float32, xnnpack, right x_int8, xnnpack; scores from 0.38." in parsed.text
    none = render_benchmark_page(document(), differing=Differing("a", "b", 0.4, []))
    assert "a and b found the same objects in every picture, at scores from 0.40." in none


def test_an_older_benchmark_is_shown_where_there_is_one() -> None:
    older = {
        **{name: document()["results"][2][name] for name in ("model", "backend", "threads")},
        **{"same_file": False, "before_ms": 4.0, "now_ms": None, "ratio": 0.5},
        **{"low": None, "high": None, "verdict": "no difference shown"},
    }
    text = benchmark_markdown(document(baseline=[older]))
    row = "x_int8.tflite, xnnpack, 1 thread | 4.00 | – | 0.50 | – | no difference shown | another"
    assert "## Against the older benchmark\n\n| Against the older benchmark |" in text
    assert f"| {row} |" in text
    assert "<h2>Against the older" in render_benchmark_page(document(baseline=[older]))
    assert "older" not in benchmark_markdown(document())


@pytest.mark.parametrize("title", ["", "<b>A title</b>"])
def test_names_can_not_become_markup(title: str) -> None:
    tree = document()
    for item in (*tree["results"], *tree["comparisons"]):
        item["model"] = item["model"].replace("x_", "<i>_")
    page = render_benchmark_page(tree, title=title)
    assert "<i>" not in page
    assert "<b>" not in page
    assert "&lt;i&gt;_int8.tflite" in page


def test_markdown_has_a_row_for_each_result() -> None:
    text = benchmark_markdown(document(), title="A title")
    assert text.startswith("# A title\n\nSome <CPU>, 2 cores, mAP on 72 pictures of bccd test.\n")
    assert "| x_int8.tflite | xnnpack | 1 | 2.10 | 2.31 | 0.50 | 0.578 | 0.551 to 0.604 |" in text
    assert "## Against the float model\n\n| Against the float32 .tflite |" in text
    assert "## To know" not in text


def test_the_title_of_a_suite_is_kept() -> None:
    suite = document(title="A suite")
    assert "<h1>A suite</h1>" in render_benchmark_page(suite)
    assert benchmark_markdown(suite).startswith("# A suite\n")
    assert "<h1>Mine</h1>" in render_benchmark_page(suite, title="Mine")


def test_csv_has_a_line_for_each_result() -> None:
    rows: list[dict[str, Any]] = list(csv.DictReader(io.StringIO(results_csv(document()))))
    assert [row["backend"] for row in rows] == ["tflite-xnnpack", "tflite-builtin"] * 2
    assert rows[2]["model"] == "runs/x/export/x_int8.tflite"
    assert float(rows[2]["p90_ms"]) == pytest.approx(2.31)
    assert [row["ratio"] for row in rows] == ["", "", "0.5", "0.84"]
    assert (rows[2]["mAP_low"], rows[2]["mAP_difference_high"]) == ("0.551", "0.004")
    assert (rows[0]["nodes_delegated"], rows[1]["nodes_delegated"]) == ("60", "")
