"""Small and read-only file systems for tests; they need root."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

needs_mounts = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("mount") is None,
    reason="mounting a small or read-only file system needs root",
)


@contextmanager
def mounted(directory: Path, *options: str) -> Iterator[Callable[[str], None]]:
    """Mount something on a directory; yield what mounts it again with other options."""
    directory.mkdir(exist_ok=True)
    done = subprocess.run(["mount", *options, str(directory)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"this machine doesn't let us mount: {done.stderr.strip()}")

    def again(text: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{text}", str(directory)], check=True)

    try:
        yield again
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


def last_line(program: Any) -> str:
    """Return the last line that a program logged, which is no part of a traceback."""
    lines = program.log.read_text(encoding="utf-8").splitlines()
    assert not any(line.startswith("Traceback") for line in lines), lines
    return lines[-1]


def check_full_disk(
    kill_table: Any, start: Callable[..., Any], tmp_path: Path, *, size: int, sha256: dict[str, str]
) -> None:
    """Run on a disk of `size` bytes, which is too small; make room, finish, and compare.

    The logs are elsewhere: a full disk would cut them.
    """
    disk = tmp_path / "disk"
    with mounted(disk, "-t", "tmpfs", "-o", f"size={size}", "tmpfs") as again:
        program = start(disk / "run", log_to=tmp_path)
        assert program.wait() == 1, f"{size} bytes were enough"
        said = last_line(program)
        assert said.startswith("Error: ")
        assert str(disk / "run") in said
        assert "No space left on device" in said
        again("size=1G")
        finished = start(disk / "run", log_to=tmp_path)
        assert finished.wait() == 0, last_line(finished)
        assert kill_table.results_of(disk / "run") == sha256
        assert kill_table.leftovers(disk / "run") == []


def check_read_only(
    kill_table: Any, start: Callable[..., Any], tmp_path: Path, *, sha256: dict[str, str]
) -> None:
    """Run into a read-only directory; make it writable, finish, and compare."""
    out = tmp_path / "out"
    out.mkdir()
    with mounted(out, "--bind", str(out)) as again:
        again("bind,ro")
        program = start(out / "run", log_to=tmp_path)
        assert program.wait() == 1
        assert last_line(program).startswith(f"Error: {out / 'run'}: Read-only file system")
        assert list(out.iterdir()) == []
        again("bind,rw")
        finished = start(out / "run", log_to=tmp_path)
        assert finished.wait() == 0, last_line(finished)
        assert kill_table.results_of(out / "run") == sha256
