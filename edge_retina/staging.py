"""A directory that is filled beside its target, so that the target never holds half a result.

A process that is killed leaves such a directory behind. The next one that stages for the same
target deletes it. Those that are being filled are locked, and the system gives up the lock of a
process when it ends.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger(__name__)

KEPT = "old"  # what a target held, while it is being replaced
_MARK = ".staging-"


@contextmanager
def staging_directory(target: Path) -> Iterator[Path]:
    """Yield an empty directory beside `target`; after the block it is deleted with what is left.

    Args:
        target: what its content will become; the directory above is made if it doesn't exist.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    remove_stale(target)
    path, lock = _make(target)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def remove_stale(target: Path) -> None:
    """Delete what killed processes left of staging for `target`.

    If one was killed between moving the old target away and putting the new one there, the old one
    comes back.
    """
    name = re.compile(re.escape(f".{target.name}{_MARK}") + r"[a-z0-9_]{8}")
    found = (path for path in target.parent.iterdir() if name.fullmatch(path.name))
    for path in sorted(found):
        lock = _lock(path)
        if lock is None:  # its process is at work
            continue
        try:
            if (path / KEPT).exists() and not target.exists():
                (path / KEPT).rename(target)
                log.warning("%s: put back; a process was killed while it replaced it", target)
            shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(lock)


def _make(target: Path) -> tuple[Path, int]:
    while True:
        path = Path(tempfile.mkdtemp(prefix=f".{target.name}{_MARK}", dir=target.parent))
        lock = _open(path)
        if lock is None:  # another process took it for a stale one
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # so does one right now
            os.close(lock)
            continue
        except OSError:  # a file system without locks, where none can be taken for a stale one
            return path, lock
        if path.exists():
            return path, lock
        os.close(lock)


def _lock(path: Path) -> int | None:
    """Return the locked directory; None if another process has it, or if it can't be locked."""
    lock = _open(path)
    if lock is None:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock


def _open(path: Path) -> int | None:
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
