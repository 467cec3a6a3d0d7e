"""benchmarks/reliability.py: the tables, by hand; and the tests that findings.toml names exist."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

GROWTH = {"doctor": {"bytes": 1234, "from": 1000, "to": 10000}}
BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def reliability(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("reliability")


def test_missing_parts_are_said_and_all_named_tests_exist(reliability: Any, tmp_path: Path) -> None:
    text = reliability.render(tmp_path)
    for name in ("kill_table", "kill_table_stand_in", "fuzz", "load", "installs", "image"):
        assert f"Missing: `{name}.json` has not been written yet." in text
    for number in range(1, 15):
        assert f"\n| {number} | " in text


def test_a_test_that_is_not_there_is_told(reliability: Any) -> None:
    finding = {"number": 1, "what": "a", "cure": "b", "tests": ["tests/test_files.py::test_none"]}
    with pytest.raises(click.ClickException, match=r"no such test: tests/test_files\.py::"):
        reliability.findings_table([finding])
    assert not reliability.test_exists("tests/no_such_file.py::test_a")


def test_the_table_of_hostile_files(reliability: Any) -> None:
    fast = {"cpu_seconds": 0.04, "peak_mb": 66, "within": True, "answer": "read"}
    killed = {"cpu_seconds": None, "peak_mb": None, "within": False, "answer": "ended by signal 24"}
    slow = {"cpu_seconds": 11.26, "peak_mb": 1200, "within": False, "answer": "refused: no: a"}
    rows = [
        {"case": "wide", "command": "load", "bytes": 240_000, **fast, "before": killed},
        {"case": "deep", "command": "doctor", "bytes": 5_000, **slow},
    ]
    table = reliability.hostile_table(
        {"asked": {"cpu_seconds": 10, "peak_mb": 1024}, "results": rows}
    )
    assert "1 of 2 are within 10 s of processor time and 1,024 MB" in table
    assert "| wide | load | 0.24 | ended by signal 24 | 0.0 s, 66 MB | read |" in table
    assert "| deep | doctor | 0.01 |  | **11.3 s, 1,200 MB** | refused |" in table


def test_the_tables(reliability: Any, tmp_path: Path) -> None:
    kill = {
        "run": 1,
        "stage": "export",
        "moment_s": 12.34,
        "stage_s": 1.0,
        "leftovers": 2,
        "workers": 0,
        "result": "finished",
        "identical": True,
    }
    part = {
        "part": "doctor",
        "images": 10000,
        "objects": 10,
        "classes": 2,
        "items": 10000,
        "seconds": 70.4,
        "cpu_seconds": 60.6,
        "peak_mb": 300.2,
    }
    documents = {
        "kill_table": {"network": "small", "kills": [kill, {**kill, "identical": False}]},
        "fuzz": {"rows": [{"target": "coco", "cases": 30000, "findings": 1, "seconds": 3600}]},
        "load": {"parts": {"doctor 10000": part}, "bytes_per_image": GROWTH},
        "installs": [
            {"python": "3.12", "os": "linux", "what": "wheel", "result": "passed", "seconds": 9.6}
        ],
        "image": {"images": [{"stage": "device", "mb": 321}]},
    }
    for name, document in documents.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
    text = reliability.render(tmp_path)
    assert "| 1 | 1 | export | 12.3 | 1.0 | 2 files, 0 processes | finished | yes |" in text
    assert "| 2 | 1 | export | 12.3 | 1.0 | 2 files, 0 processes | finished | **no** |" in text
    assert "2 SIGKILLs in 1 runs" in text
    assert "After 1 of them" in text
    assert "28 are not measured yet" in text
    assert "30,000 cases in 1.0 hours of processor time, over all versions" in text
    assert "| coco | 30,000 | 1 | 3600 |" in text
    assert "| doctor | 10,000 | 10 | 2 | 70 | 61 | 300 |" in text
    assert "| doctor | 1,234 | 1,000 | 10,000 |" in text
    assert "**Missing: the parts on 100,000 pictures.**" in text
    assert "| 3.12 | linux | wheel | passed | 10 |  |" in text
    assert "| stage | mb |" in text
    assert "| device | 321 |" in text


def test_the_page_is_that_of_the_results(reliability: Any) -> None:
    assert reliability.TARGET.read_text(encoding="utf-8") == reliability.render()


def test_the_memory_of_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand: 9,000 more pictures take 9 MiB more, and the largest two numbers count."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    load: Any = importlib.import_module("load")
    rows = {"doctor 10000": {"peak_mb": 109.0}, "doctor 1000": {"peak_mb": 100.0}}
    assert load.growth(rows) == {"doctor": {"bytes": 1049, "from": 1000, "to": 10_000}}
    rows["doctor 100000"] = {"peak_mb": 199.0}
    assert load.growth(rows) == {"doctor": {"bytes": 1049, "from": 10_000, "to": 100_000}}
    assert load.growth({}) == {}


def test_every_part_has_a_row_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    load: Any = importlib.import_module("load")
    keys = [part.key for part in load.parts()]
    assert len(set(keys)) == len(keys) == 3 * 5 + 2 * 5 + 2 * 2 + 3 + 2 + 2


_MEASURE = """
import json, sys
from pathlib import Path
import click
import load

work, data = Path(sys.argv[1]), {"images": 3, "objects": 4, "classes": 2, "side": 64}
command = ("convert", "DATA", "--to", "tfrecord", "--out", "OUT")
row = load.measure(load.Part("convert", data, command, 3), work)
try:
    load.measure(load.Part("bad", data, ("convert",), 3), work)
except click.ClickException as error:
    row["bad"] = error.message
print(json.dumps(row))
"""


def test_a_part_is_measured_in_a_process_of_its_own(tmp_path: Path) -> None:
    """From a small process: what a command is started by counts for its memory."""
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(tmp_path)],
        cwd=BENCHMARKS,
        capture_output=True,
        text=True,
        check=True,
    )
    row = json.loads(done.stdout.splitlines()[-1])
    data = {"images": 3, "objects": 4, "classes": 2, "side": 64}
    assert {name: row[name] for name in ("part", *data)} == {"part": "convert", **data}
    assert 20 < row["peak_mb"] < 1000
    assert row["seconds"] > 0
    tree = json.loads((tmp_path / "3_4_2_64/annotations/instances_train.json").read_text())
    assert (len(tree["images"]), len(tree["annotations"])) == (3, 12)
    assert not (tmp_path / "out").exists()
    assert "exit 2" in row["bad"]
