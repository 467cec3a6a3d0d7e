"""An older benchmark beside a new one."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from edge_retina.benchmark.baseline import Baseline
from edge_retina.benchmark.environment import Environment
from edge_retina.cli.main import main
from edge_retina.errors import BenchmarkError

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
BOARD = Environment("A76", 4, "performance", "Linux 6", "aarch64", "3.11", {"numpy": "2.0"}, 0.1)
BRIEF = ("--backend", "xnnpack", "--runs", 3, "--min-seconds", 0, "--max-warmup", 0)


def baseline(environment: Environment = BOARD, **fields: Any) -> Baseline:
    document = {"environment": dataclasses.asdict(environment), "results": [], "device": "local"}
    return Baseline.from_document(Path("old.json"), {**document, **fields})


@pytest.mark.parametrize(
    "change, message",
    [
        ({"cpu": "N100"}, "cpu N100 there, A76 here"),
        ({"cores": 8}, "cores 8 there, 4 here"),
        ({"governor": None}, "governor unknown there, performance here"),
        ({"os": "Linux 5", "machine": "armv7l"}, "os Linux 5 there, .*; machine armv7l there, aar"),
        (
            {"packages": {"numpy": "1.26", "x": "1"}},
            "packages numpy 1.26 there, 2.0 here, x 1 there, absent here;",
        ),
    ],
)
def test_another_machine_is_refused(change: dict[str, Any], message: str) -> None:
    older = baseline(dataclasses.replace(BOARD, **change))
    with pytest.raises(BenchmarkError, match=f"old.json: measured on another machine: {message}"):
        older.check(BOARD, device="local", scenario="interleaved")
    older.check(BOARD, device="local", scenario="interleaved", allow_other_machine=True)


def test_the_load_does_not_make_it_another_machine() -> None:
    older = baseline(dataclasses.replace(BOARD, load_average=3.0))
    older.check(BOARD, device="local", scenario="interleaved")


def test_another_device_and_another_scenario_are_refused() -> None:
    with pytest.raises(BenchmarkError, match="device local there, ssh:pi@board here"):
        baseline().check(BOARD, device="ssh:pi@board", scenario="interleaved")
    with pytest.raises(BenchmarkError, match="as interleaved, this benchmark is single-stream"):
        baseline().check(BOARD, device="local", scenario="single-stream", allow_other_machine=True)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"results": []}',
        '{"environment": 3, "results": []}',
        '{"environment": {}, "results": 3}',
        '{"environment": {}, "results": [{}]}',
        '{"environment": {}, "results": ["a"]}',
        '{"environment": {}, "results": [{"latency_ms": {"rounds_ms": ["x"], "p50": 1}}]}',
    ],
)
def test_what_is_no_benchmark_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "old.json"
    path.write_text(text)
    with pytest.raises(BenchmarkError, match=r"old\.json: not a result of 'edge-retina benchmark"):
        Baseline.load(path)
    with pytest.raises(BenchmarkError, match="can't be read"):
        Baseline.load(tmp_path / "gone.json")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["benchmark", *map(str, arguments)])


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Results of tiny_uint8.tflite in two rounds, changed to have taken 1 ms and 9 of others."""
    path = tmp_path / "old.json"
    told = run(GOLDEN / "tiny_uint8.tflite", *BRIEF, "--rounds", 2, "--json", path)
    assert told.exit_code == 0, told.output
    document = json.loads(path.read_text())
    (result,) = document["results"]
    result["latency_ms"] |= {"p50": 10.0, "rounds_ms": [10.0, 10.0], "samples": [10.0] * 6}
    result["samples_ms"]["lost"] = [9.0] * 6
    path.write_text(json.dumps(document))
    return path


def test_results_are_shown_beside_the_older_ones(
    old: Path, tiny: list[Path], tmp_path: Path
) -> None:
    """One is the same file under another name; the other one has no older result."""
    moved = shutil.copy(GOLDEN / "tiny_uint8.tflite", tmp_path / "moved.tflite")
    target = tmp_path / "new.json"
    result = run(
        *(moved, tiny[0]),
        *(*BRIEF, "--rounds", 2, "--baseline", old, "--json", target),
    )
    assert result.exit_code == 0, result.output
    document = json.loads(target.read_text())
    (beside,) = document["baseline"]
    newer = document["results"][0]
    own = np.subtract(newer["latency_ms"]["samples"], newer["samples_ms"]["lost"])
    middles = np.median(own[:3]), np.median(own[3:])
    assert beside["model"] == str(moved)
    assert (beside["same_file"], beside["before_ms"]) == (True, 10.0)
    assert beside["ratio"] == pytest.approx((middles[0] * middles[1]) ** 0.5)
    assert beside["low"] <= beside["ratio"] <= beside["high"]
    assert f"10.00 ms -> {beside['now_ms']:.2f} ms" in result.stdout


def test_without_what_others_took_the_middles_are_compared(old: Path, tmp_path: Path) -> None:
    document = json.loads(old.read_text())
    for name in ("samples_ms", "scenario", "warmups", "other_load"):  # as older versions wrote it
        del document["results"][0][name]
    del document["scenario"]
    old.write_text(json.dumps(document))
    target = tmp_path / "new.json"
    arguments = ("--rounds", 2, "--baseline", old, "--json", target)
    assert run(GOLDEN / "tiny_uint8.tflite", *BRIEF, *arguments).exit_code == 0
    newer = json.loads(target.read_text())
    middles = newer["results"][0]["latency_ms"]["rounds_ms"]
    (beside,) = newer["baseline"]
    assert beside["ratio"] == pytest.approx((middles[0] * middles[1]) ** 0.5 / 10)


def test_the_same_name_will_do(old: Path, tmp_path: Path) -> None:
    document = json.loads(old.read_text())
    document["results"][0]["sha256"] = "of another training"
    old.write_text(json.dumps(document))
    result = run(GOLDEN / "tiny_uint8.tflite", *BRIEF, "--rounds", 1, "--baseline", old)
    assert result.exit_code == 0, result.output
    assert "another file of this name" in result.stdout


def test_another_machine_is_refused_before_anything_is_measured(old: Path) -> None:
    document = json.loads(old.read_text())
    document["environment"]["cpu"] = "N100"
    old.write_text(json.dumps(document))
    arguments = (GOLDEN / "tiny_uint8.tflite", *BRIEF, "--rounds", 1, "--baseline", old)
    result = run(*arguments)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"Error: --baseline {old}: measured on another machine: cpu N100 there")
    assert line.endswith("add --allow-other-machine")
    assert run(*arguments, "--allow-other-machine").exit_code == 0
