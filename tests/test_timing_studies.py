"""benchmarks/harness_overhead.py and benchmarks/identical_files.py, briefly."""

from __future__ import annotations

import functools
import importlib
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from edge_retina.benchmark.timing_plan import TimingPlan

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
MODEL = Path(__file__).parent / "golden" / "tiny_uint8.tflite"


@pytest.fixture(autouse=True)
def _studies_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)


def test_the_harness_adds_little_to_an_invocation() -> None:
    """The tiny model takes microseconds, of which the copies are a large part: 100 us at most."""
    study: Any = importlib.import_module("harness_overhead")
    found = study.measure_overhead(MODEL, pairs=200)
    assert found["low"] <= found["overhead"] <= found["high"]
    assert found["overhead"] * found["bare_ms"] < 0.1
    assert 0 < found["bare_ms"] < found["stage_ms"] + 0.1


def test_the_harness_finds_what_a_stage_adds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Times by hand: a stage of 1.03 ms around an invocation of 1 ms; every other pair is 9 ms."""
    study: Any = importlib.import_module("harness_overhead")
    calls = {"stage": 0, "bare": 0}

    def slow(kind: str) -> float:
        calls[kind] += 1
        return 9.0 if calls[kind] % 2 else 1.0

    monkeypatch.setattr(study, "timed", lambda *_: (0.0, slow("stage") + 0.03, 0.0))
    monkeypatch.setattr(study, "_bare_ms", lambda _: slow("bare"))
    found = study.measure_overhead(MODEL, pairs=101)
    assert found["overhead"] == pytest.approx(0.03 / found["bare_ms"])


def test_identical_files_are_measured_against_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study: Any = importlib.import_module("identical_files")
    # Elsewhere on the machine other tests run, so that no warm-up would ever settle.
    monkeypatch.setattr(study, "TimingPlan", functools.partial(TimingPlan, max_warmup_s=0))
    target = tmp_path / "out.json"
    arguments = ["--benchmarks", "2", "--rounds", "2", "--min-seconds", "0.1", "--json"]
    result = CliRunner().invoke(study.main, [str(MODEL), *arguments, str(target)])
    assert result.exit_code == 0, result.output
    document = json.loads(target.read_text())
    assert len(document["results"]) == 2
    for item in document["results"]:
        assert item["low"] <= item["ratio"] <= item["high"]
        assert 0.2 < item["ratio"] < 5
        assert min(item["n"]) >= 50
    close = sum(abs(item["ratio"] - 1) <= 0.03 for item in document["results"])
    assert document["within_3_percent"] == close
    assert f"within 3% of 1.0: {close} of 2" in result.stdout
