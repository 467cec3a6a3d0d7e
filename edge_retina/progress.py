"""Progress of long work: on a terminal a bar with the time left, elsewhere a line at times."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

# Often enough to see that it lives, seldom enough for a log.
_SECONDS_BETWEEN_LINES = 15.0


class ProgressUpdate(Protocol):
    """What long work calls after each piece."""

    def __call__(self, done: int, note: str = "", *, total: int | None = None) -> None:
        """Say that `done` pieces in all are finished.

        Args:
            done: pieces, including those of an earlier call that this work goes on from.
            note: anything worth showing, such as losses.
            total: number of pieces, where it became known only now.
        """


@contextmanager
def show_progress(label: str, total: int | None = None) -> Iterator[ProgressUpdate]:
    """Show progress of `total` pieces (None: not known yet) on stderr while the block runs."""
    if not sys.stderr.isatty():
        yield _PlainLines(label, total)
        return
    # Imported here: a log file needs no bar, and rich takes longer to import than LiteRT.
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
    """Prints a line when some time has passed since the last one, and at the end."""

    def __init__(self, label: str, total: int | None) -> None:
        self._label, self._total = label, total
        self._first: tuple[int, float] | None = None
        self._last = 0.0

    def __call__(self, done: int, note: str = "", *, total: int | None = None) -> None:
        now = time.monotonic()
        self._total = total or self._total
        if self._first is None:
            # The first piece is slow (compilation), and resumed work does not begin at 0: the speed
            # is measured from here.
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
