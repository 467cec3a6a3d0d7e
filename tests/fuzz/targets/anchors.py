"""The file of `--anchors`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edge_retina.runtime.anchor_file import load_anchors
from tests.fuzz.target import Target


def check(content: bytes, name: str, directory: Path) -> None:
    """Read it and decode a box with it."""
    path = directory / name
    path.write_bytes(content)
    found = load_anchors(path)
    rows = np.array(found.anchors, np.float32)
    with np.errstate(all="ignore"):
        assert found.decode(np.zeros((len(rows), 4), np.float32), rows).shape == (len(rows), 4)


TARGET = Target("anchors", check)
