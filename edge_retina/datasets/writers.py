"""What the writers of all layouts share. Images are copied byte for byte."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from edge_retina.datasets.example_table import each_once
from edge_retina.datasets.schema import Dataset, Example
from edge_retina.errors import DatasetError
from edge_retina.files import write_text
from edge_retina.stored_files import containing_file, read_bytes


def unique_examples(dataset: Dataset) -> Sequence[Example]:
    """Return every image once, though splits may overlap."""
    return each_once(dataset.splits.values())


def copy_image(example: Example, target: Path) -> None:
    """Copy an image, unless it is there already, put there for a split that overlaps this one.

    Raises:
        DatasetError: it can't be read or written.
    """
    if target.exists():
        return
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if containing_file(example.path) == str(example.path):
            shutil.copyfile(example.path, target)
        else:
            target.write_bytes(read_bytes(example.path))
    except OSError as error:
        reason = error.strerror or error
        raise DatasetError(f"{example.path}: can't be copied to {target} ({reason})") from None


def write_label_file(dataset: Dataset, directory: Path) -> None:
    """Write the class names in their order to `labels.txt`."""
    write_text(directory / "labels.txt", "".join(f"{label}\n" for label in dataset.labels))


def lost_flags(dataset: Dataset, title: str) -> tuple[str, ...]:
    """Return a line for each flag that a layout without flags loses."""
    examples = unique_examples(dataset)
    counts = {
        "crowd": sum(int(example.crowd.sum()) for example in examples),
        "difficult": sum(int(example.difficult.sum()) for example in examples),
    }
    return tuple(
        f"{flag} flags of {count} boxes: {title} has none, they become ordinary objects"
        for flag, count in counts.items()
        if count
    )


def rounded(value: float) -> int | float:
    """Return a coordinate without superfluous digits; whole ones as int, as most tools expect."""
    short = round(float(value), 4)
    return int(short) if short.is_integer() else short
