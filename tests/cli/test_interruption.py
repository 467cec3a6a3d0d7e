"""Ctrl-C and SIGTERM, in processes of their own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from edge_retina.cli.interruption import Interruption

_PROGRAM = """
import ctypes, sys, time, types
import click
from edge_retina.cli import interruption, main

@click.command()
def command():
    print("ready", flush=True)
    {body}

interruption.GRACE_S = {grace}
sys.modules["slow"] = types.SimpleNamespace(command=command)
main.COMMANDS["slow"] = main.CommandEntry("slow", "")
sys.argv = ["edge-retina", "slow"]
main.main()
"""
_SLEEP = "time.sleep(60)"
# As TensorFlow does when an interruption comes inside its own Python code
_OTHER_ERROR = """
    try:
        time.sleep(60)
    finally:
        raise AssertionError("Concurrent access?")
"""
# Locking a mutex twice waits for ever, and no signal ends it, like a long call into C++
_DEAF = """
    lock = ctypes.CDLL(None).pthread_mutex_lock
    mutex = ctypes.create_string_buffer(64)
    lock(mutex)
    lock(mutex)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("body, grace", [(_SLEEP, 30), (_OTHER_ERROR, 30), (_DEAF, 0.5)])
def test_a_signal_ends_the_program(number: signal.Signals, body: str, grace: float) -> None:
    code = _PROGRAM.format(body=body, grace=grace)
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.2)
        process.send_signal(number)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 128 + number
    assert errors.strip() == "Interrupted."


def test_an_error_without_a_signal_is_an_error() -> None:
    code = _PROGRAM.format(body='raise AssertionError("Concurrent access?")', grace=1)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert "Error: unexpected AssertionError: Concurrent access?" in done.stderr


def test_two_threads_that_end_the_program_say_so_once() -> None:
    both = Interruption()
    assert [both.is_first_to_say() for _ in range(3)] == [True, False, False]
