"""Progress of long tasks: a bar with an ETA on a terminal, occasional plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

# Often enough to show that the task is alive, rarely enough not to flood a log.
_SECONDS_BETWEEN_LINES = 15.0


class ProgressUpdate(Protocol):
    """A callback that a long task calls after each item."""

    def __call__(self, done: int, note: str = "", *, total: int | None = None) -> None:
        """Report that `done` items are finished in total.

        Args:
            done: finished items, including those of an earlier run that is being resumed.
            note: anything worth showing, such as losses.
            total: number of items, if it has only now become known.
        """


@contextmanager
def show_progress(label: str, total: int | None = None) -> Iterator[ProgressUpdate]:
    """Show progress over `total` items (None: not known yet) on stderr while the block runs."""
    if not sys.stderr.isatty():
        yield _PlainLines(label, total)
        return
    # Imported here: plain lines don't need rich, which takes longer to import than LiteRT.
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(label, total=total, note="")

        def update(done: int, note: str = "", *, total: int | None = None) -> None:
            # rich takes None for "as before"
            bar.update(task, completed=done, total=total, note=note)

        yield update


class _PlainLines:
    """Prints a line at intervals, and one at the end."""

    def __init__(self, label: str, total: int | None) -> None:
        self._label, self._total = label, total
        self._first: tuple[int, float] | None = None
        self._last = 0.0

    def __call__(self, done: int, note: str = "", *, total: int | None = None) -> None:
        now = time.monotonic()
        self._total = total or self._total
        if self._first is None:
            # Measure the speed from here: the first item is slow (compilation), and a resumed task
            # doesn't start at 0.
            self._first, self._last = (done, now), now
        if done != self._total and now - self._last < _SECONDS_BETWEEN_LINES:
            return
        self._last = now
        line = f"{self._label}: {done}/{self._total or '?'}{self._left(done, now)}  {note}"
        print(line.rstrip(), file=sys.stderr, flush=True)

    def _left(self, done: int, now: float) -> str:
        first, since = self._first or (done, now)
        if not self._total or done <= first:
            return ""
        return f", {_clock((self._total - done) * (now - since) / (done - first))} left"


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes}:{seconds:02d}"
