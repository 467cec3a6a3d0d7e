"""The part of this package that a device needs, as one file that Python can run."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import edge_retina

WORKER_NAME = "worker.pyz"

_PACKAGE = Path(edge_retina.__file__).parent
# What a worker imports lies in these and in the modules beside them: all of it free of TensorFlow
_PARTS = ("backbones", "benchmark", "boxes", "runtime", "wirings")
_MAIN = """\
import sys

from edge_retina.benchmark.worker import main

sys.exit(main())
"""
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date of a zip file: the same input, the same bytes


def build_worker_archive() -> bytes:
    """Return a zip file that `python3` runs as `edge_retina.benchmark.worker`."""
    modules = [*_PACKAGE.glob("*.py")]
    for part in _PARTS:
        modules += (_PACKAGE / part).rglob("*.py")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        _add(archive, "__main__.py", _MAIN.encode())
        for module in sorted(modules):
            _add(archive, module.relative_to(_PACKAGE.parent).as_posix(), module.read_bytes())
    return buffer.getvalue()


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name, _EPOCH), content, zipfile.ZIP_DEFLATED)
