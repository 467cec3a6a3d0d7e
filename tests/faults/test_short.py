"""Kills of a run whose stages are stand-ins: all about files, markers, lock and order is real.

The real stages are killed by `make test-faults`.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

MODULE = "tests.faults.stand_in_run"


def test_a_run_that_is_killed_at_random_moments_ends_as_an_undisturbed_one(
    kill_table: Any, data: Path, tmp_path: Path
) -> None:
    start = functools.partial(kill_table.Program, data=data, module=MODULE)
    seconds = kill_table.undisturbed(tmp_path / "whole", start)
    assert list(seconds) == [kill_table.PREPARE, *kill_table.STAGES]
    expected = kill_table.results_of(tmp_path / "whole")
    # float, PTQ and QAT weights, three .tflite files, labels and anchors
    assert len(expected) == 8
    moments = kill_table.draw_moments(seconds, seed="short", most=6)
    kills = kill_table.chain(tmp_path / "run", start, moments, number=1, expected=expected)
    assert len(kills) >= 3
    assert all(kill.identical and kill.workers == 0 for kill in kills)
    assert kills[-1].result == "finished"


def test_a_result_that_differs_is_told(kill_table: Any, data: Path, tmp_path: Path) -> None:
    start = functools.partial(kill_table.Program, data=data, module=MODULE)
    kills = kill_table.chain(
        tmp_path / "run", start, [("train", 0.0)], number=1, expected={"float/best.h5": "another"}
    )
    assert [(kill.stage, kill.identical) for kill in kills] == [("train", False)]


def test_moments_are_those_of_the_seed_and_in_order(kill_table: Any) -> None:
    seconds = {"prepare": 1.0, "train": 10.0, "export": 0.0}
    drawn = kill_table.draw_moments(seconds, seed="0:1")
    assert drawn == kill_table.draw_moments(seconds, seed="0:1")
    assert drawn != kill_table.draw_moments(seconds, seed="0:2")
    assert [stage for stage, _ in drawn] == list(seconds)
    assert all(0 <= after <= seconds[stage] for stage, after in drawn)
    assert len(kill_table.draw_moments(seconds, seed="0:1", most=2)) == 2


def test_the_table_is_not_measured_twice_and_fails_for_a_lost_result(
    kill_table: Any, tmp_path: Path
) -> None:
    target = tmp_path / "kills.json"
    row = {"run": 1, "identical": True, "workers": 0}
    document = {"network": "small", "kills": [row] * 2}
    target.write_text(json.dumps(document))
    arguments = ["--kills", "2", "--work", str(tmp_path / "work"), "--json", str(target)]
    assert CliRunner().invoke(kill_table.main, arguments).exit_code == 0
    target.write_text(json.dumps({**document, "kills": [row, {**row, "identical": False}]}))
    result = CliRunner().invoke(kill_table.main, arguments)
    assert result.exit_code == 1
    assert "a kill changed the result" in result.output
    other = [*arguments, "--network", "mobilenet_v2"]
    assert "is of another network" in CliRunner().invoke(kill_table.main, other).output
    assert pytest.approx(2) == kill_table.summary([row, row])["identical"]
