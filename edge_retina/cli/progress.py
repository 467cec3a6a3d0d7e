"""Progress on standard error: on a terminal a bar with the time left, elsewhere a line at times."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

_LINE_EVERY_S = 10.0  # often enough to see that it lives, seldom enough for a log

Advance = Callable[[int, int], None]  # called with (steps done, steps in all; 0 if unknown)


@contextmanager
def progress_bar(title: str) -> Iterator[Advance]:
    """Give a function that shows how far `title` has come."""
    if not sys.stderr.isatty():
        yield _Lines(title)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeLeft())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total or None)


class _Lines:
    """Prints a line when some time has passed since the last one, and at the end."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.last = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if done == total or now - self.last >= _LINE_EVERY_S:
            self.last = now
            click.echo(f"{self.title}: {done}/{total or '?'}", err=True)
