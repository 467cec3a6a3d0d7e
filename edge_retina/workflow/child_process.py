"""Trainings as processes of their own, which end with the command that started them."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

PROGRAM = (sys.executable, "-m", "edge_retina.cli.main")


@contextmanager
def sigterm_unwinds() -> Iterator[None]:
    """Let SIGTERM end the block as an exception does, so that what it started is ended too.

    By default the signal ends a process at once, and leaves its children running. Signals are
    handled by the main thread only; in others the block changes nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, _frame: Any) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
