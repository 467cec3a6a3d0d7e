"""Files of class names: one a line, YAML, a label map, and those inside a .tflite file."""

from __future__ import annotations

from pathlib import Path

from edge_retina.runtime.label_files import find_labels, load_labels
from edge_retina.runtime.model_file import read_labels
from tests.fuzz.target import Target


def check(content: bytes, name: str, directory: Path) -> None:
    """Read it as the file of `--labels`, or look for the names inside."""
    path = directory / name
    path.write_bytes(content)
    if name.endswith(".tflite"):
        find_labels(path)
        found = read_labels(path)
    else:
        found = load_labels(str(path)).names
    assert all(isinstance(label, str) for label in found)


TARGET = Target("labels", check)
