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
        self._first: tuple[int, float] | None = None
        self._last = 0.0

    def __call__(self, done: int, note: str = "") -> None:
        now = time.monotonic()
        if self._first is None:
            # The first piece is slow (compilation), and resumed work does not begin at 0: the speed
            # is measured from here.
            self._first, self._last = (done, now), now
        if done < self._total and now - self._last < _SECONDS_BETWEEN_LINES:
            return
        self._last = now
        pieces, seconds = done - self._first[0], now - self._first[1]
        left = f", {_clock((self._total - done) * seconds / pieces)} left" if pieces else ""
        print(f"{self._label}: {done}/{self._total}{left}  {note}", file=sys.stderr, flush=True)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes}:{seconds:02d}"
