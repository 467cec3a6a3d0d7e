"""Faults of a whole run with the real stages: `make test-faults`."""

from __future__ import annotations

import functools
import json
import shutil
import signal
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from tests.faults.mounts import check_full_disk, check_read_only, last_line, needs_mounts

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.tf]


@pytest.fixture(scope="module")
def whole(kill_table: Any, data: Path, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """An undisturbed run: its seconds by stage, hashes and size."""
    out = tmp_path_factory.mktemp("whole") / "run"
    start = functools.partial(kill_table.Program, data=data)
    seconds = kill_table.undisturbed(out, start)
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    return SimpleNamespace(
        out=out, start=start, seconds=seconds, sha256=kill_table.results_of(out), size=size
    )


def test_two_undisturbed_runs_are_the_same(
    kill_table: Any, whole: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "12345")
    kill_table.undisturbed(tmp_path / "again", whole.start)
    assert kill_table.results_of(tmp_path / "again") == whole.sha256


def test_thirty_kills(kill_table: Any, tmp_path: Path) -> None:
    target = tmp_path / "kill_table.json"
    result = CliRunner().invoke(
        kill_table.main, ["--kills", "30", "--work", str(tmp_path), "--json", str(target)]
    )
    assert result.exit_code == 0, result.output
    document = json.loads(target.read_text())
    assert document["summary"] == {"kills": 30, "identical": 30, "workers_left": 0}


@needs_mounts
@pytest.mark.parametrize("share", [0.1, 0.4, 0.7, 0.9])
def test_a_full_disk_is_named_and_the_run_finishes_when_there_is_room(
    kill_table: Any, whole: SimpleNamespace, tmp_path: Path, share: float
) -> None:
    size = int(share * whole.size)
    check_full_disk(kill_table, whole.start, tmp_path, size=size, sha256=whole.sha256)


@needs_mounts
def test_a_read_only_directory_is_named_and_the_run_goes_on_when_it_is_writable(
    kill_table: Any, whole: SimpleNamespace, tmp_path: Path
) -> None:
    check_read_only(kill_table, whole.start, tmp_path, sha256=whole.sha256)


def test_missing_data_are_named_and_the_run_goes_on_when_they_are_back(
    kill_table: Any, whole: SimpleNamespace, data: Path, tmp_path: Path
) -> None:
    program = killed_in_training(kill_table, whole, tmp_path / "run", after_checkpoints=1)
    away = data.with_name("away")
    data.rename(away)
    try:
        program = whole.start(tmp_path / "run")
        assert program.wait() == 1
        assert last_line(program).startswith(f"Error: {data}: ")
    finally:
        away.rename(data)
    assert whole.start(tmp_path / "run").wait() == 0
    assert kill_table.results_of(tmp_path / "run") == whole.sha256


def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(
    kill_table: Any, whole: SimpleNamespace, tmp_path: Path
) -> None:
    killed_in_training(kill_table, whole, tmp_path / "run", after_checkpoints=2)
    stored = sorted(
        (tmp_path / "run" / "float" / "checkpoint").glob("*.index"),
        key=lambda path: int(path.stem.partition("-")[2]),
    )
    before, newest = stored[-2].stem, stored[-1].with_suffix(".data-00000-of-00001")
    newest.write_bytes(newest.read_bytes()[:100])
    program = whole.start(tmp_path / "run")
    assert program.wait() == 0
    log = program.log.read_text()
    assert "trying the one before" in log
    assert f"going on from step {before.partition('-')[2]}" in log
    assert kill_table.results_of(tmp_path / "run") == whole.sha256


@pytest.mark.parametrize(
    "name",
    [
        "float/best.h5",
        "qat/weights.npz",
        "export/tiny_int8.tflite",
        "ptq/export/tiny_int8.tflite",
        "export/manifest.json",
    ],
)
@pytest.mark.parametrize("damage", ["delete", "cut", "flip"])
def test_what_was_damaged_after_the_run_is_made_again(
    kill_table: Any, whole: SimpleNamespace, tmp_path: Path, name: str, damage: str
) -> None:
    shutil.copytree(whole.out, tmp_path / "run")
    path = tmp_path / "run" / name
    content = bytearray(path.read_bytes())
    if damage == "delete":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    else:
        content[len(content) // 2] ^= 0xFF
        path.write_bytes(content)
    program = whole.start(tmp_path / "run")
    assert program.wait() == 0, last_line(program)
    assert f"{name} is missing or was changed; doing it again" in program.log.read_text()
    assert kill_table.results_of(tmp_path / "run") == whole.sha256


def killed_in_training(
    kill_table: Any, whole: SimpleNamespace, out: Path, *, after_checkpoints: int
) -> Any:
    """Start a run and kill it in its training, when it has written so many checkpoints."""
    program = whole.start(out)
    deadline = time.monotonic() + 1800
    directory = out / "float" / "checkpoint"
    while len(list(directory.glob("*.index"))) < after_checkpoints:
        assert program.process.poll() is None, last_line(program)
        assert time.monotonic() < deadline
        time.sleep(0.005)
    program.process.send_signal(signal.SIGKILL)
    program.process.wait()
    assert "quantize-ptq" not in program.stages(), "killed too late; the test says nothing"
    return program
