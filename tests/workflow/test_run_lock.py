"""Two processes and one RUN."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_retina.errors import RunError
from edge_retina.run_directory import RunDirectory
from edge_retina.workflow.run_lock import LOCK_NAME, lock_run

_HOLD = """
import sys
from pathlib import Path
from edge_retina.run_directory import RunDirectory
from edge_retina.workflow.run_lock import lock_run

with lock_run(RunDirectory(Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path / "run")


@pytest.fixture
def holder(run: RunDirectory) -> Iterator[subprocess.Popen[str]]:
    """Another process that writes the RUN."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(run.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with process:
        yield process
        process.kill()


def test_the_second_is_refused_and_told_who_has_it(
    run: RunDirectory, holder: subprocess.Popen[str]
) -> None:
    with pytest.raises(RunError) as error, lock_run(run):
        pass
    text = str(error.value)
    assert text.startswith(f"{run.root}: process {holder.pid} on ")
    assert text.endswith("wait until it has ended, stop it, or use another directory")
    assert "\n" not in text


def test_the_lock_of_a_killed_process_is_taken_over(
    run: RunDirectory, holder: subprocess.Popen[str]
) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (run.root / LOCK_NAME).exists()
    with lock_run(run):
        assert f'"pid": {os.getpid()}' in (run.root / LOCK_NAME).read_text()
        assert str(holder.pid) not in (run.root / LOCK_NAME).read_text()


def test_it_is_given_up_after_an_error(run: RunDirectory) -> None:
    with pytest.raises(ZeroDivisionError), lock_run(run):
        raise ZeroDivisionError
    assert list(run.root.iterdir()) == []
    with lock_run(run):
        pass


def test_temporary_files_of_a_killed_process_go(run: RunDirectory) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = run.root / "float" / f".best.tmp{ended.pid}-a1b2c3d4.h5"
    left.parent.mkdir(parents=True)
    left.write_text("half")
    with lock_run(run):
        assert not left.exists()
