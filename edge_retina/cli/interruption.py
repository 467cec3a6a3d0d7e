"""Ctrl-C and SIGTERM end the program soon and with the exit code that shells expect.

Python raises an interruption where its own code goes on. That may take long: a compiled step or a
conversion has to end first, and TensorFlow may turn the interruption into an error of its own. So
whatever error comes after a signal counts as the interruption, and a thread ends the process if it
is still there after `GRACE_S`. What is on disk is whole at any moment, so nothing is lost by that.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

GRACE_S = 5.0  # for what has to be put in order, such as a worker on another machine
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Which signal has come, if any."""

    def __init__(self) -> None:
        self._signal = 0
        self._ends = threading.Event()
        self._unsaid = threading.Lock()

    def __bool__(self) -> bool:
        """Whether one has come."""
        return self._signal > 0

    @property
    def exit_code(self) -> int:
        """128 plus its number, as shells count; SIGINT's if none has come."""
        return 128 + (self._signal or signal.SIGINT)

    def is_first_to_say(self) -> bool:
        """Return True once: the main thread may come back just when the other ends the process."""
        return self._unsaid.acquire(blocking=False)

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Listen to SIGINT and SIGTERM; only the main thread can."""
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        before = {number: signal.signal(number, self._on_signal) for number in _SIGNALS}
        # Python's handler may have to wait for C++ to return; the byte is written at once.
        old = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        threading.Thread(target=self._wait, args=(reader,), daemon=True).start()
        try:
            yield
        finally:
            self._ends.set()
            signal.set_wakeup_fd(old)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(writer)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._signal = number
        raise KeyboardInterrupt

    def _wait(self, reader: int) -> None:
        while received := os.read(reader, 1):
            if received[0] in _SIGNALS:
                self._signal = received[0]
                if not self._ends.wait(GRACE_S):
                    if self.is_first_to_say():
                        os.write(2, b"\nInterrupted.\n")
                    os._exit(self.exit_code)
        os.close(reader)


def leave(code: int) -> NoReturn:
    """End the process without taking the libraries down."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
