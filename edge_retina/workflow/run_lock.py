"""One process at a time writes a RUN.

The lock is `flock` on a file in the RUN. The system gives it up when the process ends, however it
ends, so a killed training leaves nothing behind that has to be removed by hand.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_retina.errors import RunError
from edge_retina.files import load_json, naming_full_disk, remove_leftovers
from edge_retina.run_directory import RunDirectory

LOCK_NAME = ".lock"


@contextmanager
def lock_run(run: RunDirectory) -> Iterator[None]:
    """Keep other processes from writing the RUN; its directory is made if it doesn't exist.

    Raises:
        RunError: another process writes it.
    """
    run.root.mkdir(parents=True, exist_ok=True)
    path = run.root / LOCK_NAME
    file = _acquire(path)
    try:
        os.truncate(file, 0)  # a process that was killed has left its name
        with naming_full_disk(path):
            os.write(file, json.dumps(_holder()).encode())
        remove_leftovers(run.root)  # of a process that was killed
        yield
    finally:
        path.unlink(missing_ok=True)  # while it is still ours
        os.close(file)


def _acquire(path: Path) -> int:
    """Return the locked file."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            raise RunError(
                f"{path.parent}: {_holder_text(path)} writes this run directory; wait until it has "
                "ended, stop it, or use another directory"
            ) from None
        if path.exists() and os.path.samestat(os.fstat(file), path.stat()):
            return file
        os.close(file)  # its holder deleted it before we locked it


def _holder() -> dict[str, str | int]:
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
    }


def _holder_text(path: Path) -> str:
    try:
        holder = load_json(path)
        return f"process {holder['pid']} on {holder['host']} ({holder['command']})"
    except (OSError, ValueError, KeyError, TypeError):  # it has just begun, or has ended
        return "another process"
