from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_retina.errors import BenchmarkError
from edge_retina.report.benchmark_document import (
    middle_ms,
    read_benchmark,
    result_titles,
    short_names,
    warning_lines,
)
from tests.report.benchmark_documents import document, result


def test_a_document_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    path.write_text(json.dumps(document()))
    assert read_benchmark(path) == document()


@pytest.mark.parametrize(
    "text, message",
    [
        ("{", "not JSON"),
        ("[]", "list, not an object; expected the document that benchmark --json writes"),
        ('{"mAP": 1}', "schema_version None, not 1"),
        ('{"schema_version": 1, "results": []}', "no environment, comparisons"),
        (json.dumps(document(results=[])), "it has no results; measure at least one model"),
        (json.dumps(document(results=[{"model": "x"}])), r"results\[0\] has no precision, backend"),
    ],
)
def test_what_is_no_benchmark_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    path.write_text(text)
    with pytest.raises(BenchmarkError, match=f"b.json: {message}"):
        read_benchmark(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"gone\.json: can't be read .*No such file"):
        read_benchmark(tmp_path / "gone.json")


@pytest.mark.parametrize(
    "models, names",
    [
        (["a/b/x.tflite"], ["x.tflite"]),
        (["a/x.tflite", "b/y.tflite"], ["x.tflite", "y.tflite"]),
        (["a/x.tflite", "b/x.tflite", "y"], ["a/x.tflite", "b/x.tflite", "y"]),
        (["x.tflite", "b/x.tflite"], ["x.tflite", "b/x.tflite"]),
        (["a/x", "a/x"], ["x"]),
        (["."], ["."]),
    ],
)
def test_names_are_as_short_as_they_can_be(models: list[str], names: list[str]) -> None:
    assert list(short_names(models).values()) == names


def test_titles_say_model_backend_and_threads() -> None:
    rows = [result("a/x.tflite", "tflite-xnnpack", 2, 1.0), result("runs/a", "keras", 1, 1.0)]
    assert result_titles(rows) == ["x.tflite, xnnpack, 2 threads", "a, keras, 1 thread"]


def test_without_a_median_the_mean_counts() -> None:
    latency = {"mean": 3.0, "p50": None}
    assert middle_ms({"latency_ms": latency}) == 3.0
    assert middle_ms({"latency_ms": {**latency, "p50": 2.0}}) == 2.0


def test_each_warning_stands_once() -> None:
    rows = [
        result("x", "keras", 1, 1.0, warnings=["busy", "noisy"]),
        result("y", "keras", 1, 1.0, warnings=["busy"]),
    ]
    assert warning_lines(rows) == ["busy", "x, keras, 1 thread: noisy"]
