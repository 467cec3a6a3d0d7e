"""What stands between a .tflite file and LiteRT, whose kernels end the process on a damaged one.

A file is read once, checked in Python, and, unless a manifest beside it has its hash, run once in a
process of its own. What has passed is remembered by its hash for as long as this process lives, so
that a command pays once for a file, however often it opens it and however many pictures there are.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from edge_retina.errors import ModelError
from edge_retina.runtime.flatbuffer_check import check_flatbuffer
from edge_retina.runtime.graph import parse_graph
from edge_retina.runtime.manifest import MANIFEST_NAME, load_manifest
from edge_retina.runtime.model_file import check_model_file
from edge_retina.runtime.trial_run import try_out

_MOST_BYTES = 2**31  # of a file: offsets in a flatbuffer are 32 bits wide


class _Proven:
    """What this process may open without more ado."""

    def __init__(self) -> None:
        self.hashes: set[str] = set()
        self.contained = False


_proven = _Proven()


def crashes_are_contained() -> None:
    """Say that this process may crash: whoever started it waits for that. It makes no trials."""
    _proven.contained = True


def trust_file(path: Path) -> None:
    """Take a file that this process has just made as proven."""
    _proven.hashes.add(hashlib.sha256(path.read_bytes()).hexdigest())


def prove_file(path: Path) -> None:
    """Refuse a .tflite file that LiteRT would crash on.

    Raises:
        ModelError: missing, not a TFLite file, inconsistent in itself, or it ended the process that
            tried it.
    """
    content = read_model_file(path)
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 in _proven.hashes:
        return
    check_flatbuffer(content, where=str(path))
    if not _proven.contained and not _is_confirmed(path, sha256):
        macs = sum(operator.macs for operator in parse_graph(content, where=str(path)).operators)
        try_out(path, macs=macs)
    _proven.hashes.add(sha256)


def read_model_file(path: Path) -> bytes:
    """Return the content of a .tflite file.

    Raises:
        ModelError: missing, no ordinary file, larger than a flatbuffer can be, or of another kind.
    """
    check_model_file(path)
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as stream:
        state = os.fstat(stream.fileno())
        if not stat.S_ISREG(state.st_mode):
            raise ModelError(f"{path}: no ordinary file; expected a .tflite model")
        if state.st_size > _MOST_BYTES:
            raise ModelError(
                f"{path}: {state.st_size} bytes, but a TFLite file has at most {_MOST_BYTES}"
            )
        return stream.read()


def _is_confirmed(path: Path, sha256: str) -> bool:
    """Whether the manifest beside a file has its hash: then it is as it was verified at export."""
    if not (path.parent / MANIFEST_NAME).is_file():
        return False
    entry = load_manifest(path.parent).files.get(path.name)
    return entry is not None and entry.sha256 == sha256
