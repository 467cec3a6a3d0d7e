"""Keeps the lines that native libraries print when they start away from the user's terminal.

LiteRT writes `INFO: Created TensorFlow Lite XNNPACK delegate for CPU.` to file descriptor 2, and
has no switch for it. TensorFlow announces what it found of the machine while it is imported, before
its log level counts. Nobody can act on such a line. Everything else, above all warnings, is passed
on.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import IO

# "INFO: ..." of LiteRT, "I0000 00:00:1700000000.1 12 file.cc:1] ..." of Abseil before and after its
# logs are set up, and its remark that they are not
_ANNOUNCEMENT = re.compile(
    rb"^(INFO: |[\d\-: .]*I(?:\d{4} |\s)|WARNING: All log messages before absl::InitializeLog\(\))"
)
# How CUDA says that there is no GPU. On a machine with one it is an error worth reading.
_NO_GPU = re.compile(rb"E.*failed call to cuInit")
_GPU_DEVICES = ("/dev/nvidiactl", "/dev/dxg")  # Linux, and Linux under Windows
_LOCK = threading.RLock()  # the descriptor is the whole process's


@contextmanager
def without_start_up_lines() -> Iterator[None]:
    """Leave out announcements that are written to file descriptor 2 while the block runs.

    What is not an announcement is written there at the end of the block, whatever ends it. Without
    a standard error, or without a place for a file, nothing is held back.
    """
    with _LOCK, ExitStack() as held:
        try:
            written = held.enter_context(_memory())
            terminal = os.dup(2)
        except OSError:
            yield
            return
        held.callback(os.close, terminal)
        held.callback(_pass_on, written, terminal)
        _flush()
        os.dup2(written.fileno(), 2)
        yield


def _memory() -> IO[bytes]:
    """Return a file for what is held back: in memory on Linux, where no directory is needed."""
    if sys.platform == "linux":
        return open(os.memfd_create("start-up-lines"), "w+b")
    return tempfile.TemporaryFile()


def _pass_on(written: IO[bytes], terminal: int) -> None:
    """Give descriptor 2 back, and write there what is worth reading."""
    _flush()
    os.dup2(terminal, 2)
    written.seek(0)
    for line in written:
        if not is_announcement(line):
            os.write(2, line)


def is_announcement(line: bytes) -> bool:
    """Whether a line of a native library's log tells nothing that a user can act on."""
    if _NO_GPU.match(line):
        return not any(map(os.path.exists, _GPU_DEVICES))
    return bool(_ANNOUNCEMENT.match(line))


def _flush() -> None:
    if sys.stderr is not None:  # it is None in a program without a terminal
        sys.stderr.flush()
