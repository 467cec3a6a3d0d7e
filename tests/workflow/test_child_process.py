"""A command that is ended by SIGTERM takes its trainings with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

PARENT = """
import subprocess, sys
from edge_retina.workflow.child_process import sigterm_unwinds
with sigterm_unwinds():
    subprocess.run([sys.executable, "-c", {child!r}])
"""
CHILD = "import os, sys, time; print(os.getpid(), flush=True); time.sleep(600)"


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("waited for ten seconds")


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A process that has ended and that nobody has waited for is still in the table.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def test_sigterm_ends_the_child_too() -> None:
    command = [sys.executable, "-c", PARENT.format(child=CHILD)]
    root = str(Path(__file__).parents[2])
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": root}
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert is_alive(child)
        parent.send_signal(signal.SIGTERM)
        assert parent.wait(timeout=20) == 128 + signal.SIGTERM
        wait_for(lambda: not is_alive(child))
