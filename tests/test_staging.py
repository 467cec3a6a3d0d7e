"""Directories that are filled beside their target."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edge_retina.staging import KEPT, staging_directory

_HOLD = """
import sys
from pathlib import Path
from edge_retina.staging import staging_directory

with staging_directory(Path(sys.argv[1])) as path:
    (path / "half").write_text("half")
    print(path, flush=True)
    sys.stdin.read()
"""


def hold(target: Path) -> tuple[subprocess.Popen[str], Path]:
    """Return another process that stages for `target`, and where it does."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(target)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def kill(process: subprocess.Popen[str]) -> None:
    with process:
        process.send_signal(signal.SIGKILL)


def test_it_is_beside_the_target_and_gone_afterwards(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "out"
    with staging_directory(target) as path:
        assert path.parent == target.parent
        (path / "a").write_text("a")
    assert os.listdir(target.parent) == []


def test_it_is_gone_after_an_error_too(tmp_path: Path) -> None:
    def fail() -> None:
        with staging_directory(tmp_path / "out") as path:
            (path / "a").write_text("a")
            raise InterruptedError

    with pytest.raises(InterruptedError):
        fail()
    assert os.listdir(tmp_path) == []


def test_what_a_killed_process_left_goes_with_the_next(tmp_path: Path) -> None:
    process, left = hold(tmp_path / "out")
    kill(process)
    assert (left / "half").exists()
    with staging_directory(tmp_path / "out"):
        assert not left.exists()


def test_what_another_process_fills_stays(tmp_path: Path) -> None:
    process, path = hold(tmp_path / "out")
    try:
        with staging_directory(tmp_path / "out") as own:
            assert own != path
            assert (path / "half").read_text() == "half"
    finally:
        kill(process)


def test_only_leftovers_of_this_target_go(tmp_path: Path) -> None:
    others = [".out-mynotes1", ".out.staging-short", ".other.staging-abcdefgh", "out.staging-abc"]
    for name in others:
        (tmp_path / name).mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / ".out.staging-abcdefgh").symlink_to(tmp_path / "file")
    with staging_directory(tmp_path / "out"):
        assert {*others, ".out.staging-abcdefgh"} <= set(os.listdir(tmp_path))


def test_a_target_that_was_being_replaced_comes_back(tmp_path: Path) -> None:
    """As a SIGKILL between the two renames of `new_directory` leaves it."""
    target, left = tmp_path / "out", tmp_path / ".out.staging-a1b2c3d4"
    (left / KEPT).mkdir(parents=True)
    (left / KEPT / "a").write_text("old")
    (left / "new").mkdir()
    with staging_directory(target):
        assert (target / "a").read_text() == "old"
    assert os.listdir(tmp_path) == ["out"]
