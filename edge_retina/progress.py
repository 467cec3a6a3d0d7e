"""Progress of long work: a bar with an ETA on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_SECONDS_BETWEEN_LINES = 15.0


class ProgressUpdate(Protocol):
    """What long work calls after each piece."""

    def __call__(self, done: int, note: str = "") -> None:
        """Say that `done` pieces in all are finished."""


@contextmanager
def show_progress(label: str, total: int) -> Iterator[ProgressUpdate]:
    """Show progress of `total` pieces on stderr while the block runs."""
    if sys.stderr.isatty():
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(label, total=total, note="")
            yield lambda done, note="": bar.update(task, completed=done, note=note)
    else:
        yield _PlainLines(label, total)


class _PlainLines:
    def __init__(self, label: str, total: int) -> None:
        self._label, self._total = label, total
        self._started = self._last = time.monotonic()
        self._first_done: int | None = None

    def __call__(self, done: int, note: str = "") -> None:
        now = time.monotonic()
        if self._first_done is None:  # work that goes on after an interruption does not start at 0
            self._first_done = done - 1
        if done < self._total and now - self._last < _SECONDS_BETWEEN_LINES:
            return
        self._last = now
        rate = (done - self._first_done) / max(now - self._started, 1e-9)
        left = (self._total - done) / rate
        print(
            f"{self._label}: {done}/{self._total}, {_clock(left)} left  {note}".rstrip(),
            file=sys.stderr,
            flush=True,
        )


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes}:{seconds:02d}"
