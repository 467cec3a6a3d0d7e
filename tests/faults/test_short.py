"""Kills of a run whose stages are stand-ins: all about files, markers, lock and order is real.

The real stages are killed by `make test-faults`.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from tests.faults.mounts import check_full_disk, check_read_only, needs_mounts

MODULE = "tests.faults.stand_in_run"


@pytest.fixture(scope="module")
def whole(kill_table: Any, data: Path, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """An undisturbed run: its seconds by stage and hashes."""
    start = functools.partial(kill_table.Program, data=data, module=MODULE)
    out = tmp_path_factory.mktemp("short") / "run"
    seconds = kill_table.undisturbed(out, start)
    return SimpleNamespace(start=start, seconds=seconds, sha256=kill_table.results_of(out))


def test_a_run_that_is_killed_at_random_moments_ends_as_an_undisturbed_one(
    kill_table: Any, whole: SimpleNamespace, tmp_path: Path
) -> None:
    assert list(whole.seconds) == [kill_table.PREPARE, *kill_table.STAGES]
    # float, PTQ and QAT weights, three .tflite files, labels and anchors
    assert len(whole.sha256) == 8
    moments = kill_table.draw_moments(whole.seconds, seed="short", most=5)
    kills = kill_table.chain(
        tmp_path / "run", whole.start, moments, number=1, expected=whole.sha256
    )
    assert len(kills) >= 3
    assert all(kill.identical and kill.workers == 0 for kill in kills)
    assert kills[-1].result == "finished"


@needs_mounts
def test_a_full_disk_is_named_and_the_run_finishes_when_there_is_room(
    kill_table: Any, whole: SimpleNamespace, tmp_path: Path
) -> None:
    # Every file takes a page of 4 kB, and a run leaves some 25 of them.
    check_full_disk(kill_table, whole.start, tmp_path, size=60_000, sha256=whole.sha256)


@needs_mounts
def test_a_read_only_directory_is_named_and_the_run_goes_on_when_it_is_writable(
    kill_table: Any, whole: SimpleNamespace, tmp_path: Path
) -> None:
    check_read_only(kill_table, whole.start, tmp_path, sha256=whole.sha256)


def test_a_result_that_differs_is_told(
    kill_table: Any, whole: SimpleNamespace, tmp_path: Path
) -> None:
    kills = kill_table.chain(
        tmp_path / "run",
        whole.start,
        [("train", 0.0)],
        number=1,
        expected={"float/best.h5": "another"},
    )
    assert [kill.identical for kill in kills] == [False]


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
