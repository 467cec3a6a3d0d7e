"""What docs/microcontrollers.md says, beside the recorded run of benchmarks/compilers.py."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture
def study(repository: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(repository / "benchmarks")
    return importlib.import_module("compilers")


@pytest.fixture
def recorded(repository: Path) -> dict[str, Any]:
    path = repository / "benchmarks" / "results" / "compilers.json"
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_table_in_the_documents_is_the_recorded_one(
    study: ModuleType, recorded: dict[str, Any], repository: Path
) -> None:
    text = (repository / "docs" / "microcontrollers.md").read_text(encoding="utf-8")
    between = text.partition(study._BEGIN)[2].partition(study._END)[0]
    assert between == "\n" + study._table(recorded["files"])


def test_everything_is_on_the_npu_and_micro_computes_what_the_reference_does(
    recorded: dict[str, Any],
) -> None:
    assert {file["side_px"] for file in recorded["files"]} == {96, 160, 256}
    for file in recorded["files"]:
        vela = [report for report in file["reports"] if report["compiler"] == "vela"]
        assert len(vela) >= 3
        assert all(report["macs_share"] == 1.0 and not report["left"] for report in vela)
        assert file["outputs"]["reference"]["unequal"] == 0
    # Outputs that are all the same would be equal without proving anything
    (trained,) = (file for file in recorded["files"] if "trained" in file["name"])
    assert trained["outputs"]["distinct_values"] > 10


def test_differences_are_counted_in_steps(study: ModuleType) -> None:
    import numpy as np

    found = [np.array([[1, 2]], np.int8), np.array([[-128]], np.int8)]
    expected = [np.array([[1, 5]], np.int8), np.array([[127]], np.int8)]
    assert study._difference(found, expected) == {
        "values": 3,
        "unequal": 2,
        "mean_steps": 86.0,  # (0 + 3 + 255) / 3: no wrapping around in int8
        "most_steps": 255,
    }


def test_a_row_names_the_system_and_the_memory(study: ModuleType) -> None:
    report = {
        "compiler": "vela",
        "package": "ethos-u-vela",
        "version": "5.2.0",
        "configuration": "ethos-u55-128,S,M",
        "settings": {"system": "S", "memory": "M", "clock": "200 MHz"},
        "operators": 9,
        "operators_total": 10,
        "macs_share": 0.5,
        "estimated_ms": 25.067,
        "memory_bytes": {"SRAM": 1050608},
    }
    row = {
        "name": "n",
        "side_px": 96,
        "macs": 19_200_000,
        "bytes": {"ethos-u": 812_345, "micro": 812_000},
        "reports": [report],
        "outputs": {},
    }
    assert study._npu_table([row]).splitlines()[2] == (
        "| 96 px, n | ethos-u55-128, S | 200 MHz | 9 of 10 operators, 50% of MACs | 25.1 | "
        "SRAM 1,050,608 |"
    )
    arena = {"arena": 251168, "activations in it": 138240}
    row["reports"] = [{**report, "compiler": "tflite-micro", "memory_bytes": arena}]
    row["outputs"] = {
        "on": "8 pictures",
        "distinct_values": 63,
        "reference": {"unequal": 0, "values": 10584},
    }
    assert study._arena_table([row]).splitlines()[2] == (
        "| 96 px, n | 812,000 | 251,168 | 138,240 | 0 of 10,584 (8 pictures) |"
    )
    row["outputs"]["distinct_values"] = 1
    assert "| not counted: an output is constant |" in study._arena_table([row])
