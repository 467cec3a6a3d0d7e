"""Class names: read from label files, and checked."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from edge_retina.datasets.boundary import Boundary
from edge_retina.datasets.image_files import read_text
from edge_retina.errors import DatasetError

# Line breaks would split a name in labels.txt; half of a surrogate pair is not UTF-8.
_UNWRITABLE = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]")


def read_label_file(root: Path, *, boundary: Boundary | None = None) -> tuple[str, ...]:
    """Return the class names of `labels.txt` or `classes.txt` in `root`; empty where there is none.

    Args:
        root: the directory to look in.
        boundary: of the data set; by default `root` is all of it.

    Raises:
        DatasetError: a name is duplicated, or the file leads out of the data set.
    """
    for name in ("labels.txt", "classes.txt"):
        path = root / name
        if path.is_file():
            return read_label_lines(path, boundary=boundary or Boundary(root))
    return ()


def read_label_lines(path: Path, *, boundary: Boundary) -> tuple[str, ...]:
    """Return the class names of a file, one per line.

    Raises:
        DatasetError: it can't be read, has none, or one is duplicated.
    """
    text = read_text(path, boundary=boundary)
    labels = tuple(line.strip() for line in text.splitlines() if line.strip())
    check_class_names(labels, where=str(path))
    return labels


def check_class_names(labels: tuple[str, ...], *, where: str) -> None:
    """Refuse an empty list, repeated names and names that no label file can hold.

    Raises:
        DatasetError: see above.
    """
    if not labels:
        raise DatasetError(f"{where}: no class names; expected at least one")
    repeated = next((label for label, count in Counter(labels).items() if count > 1), None)
    if repeated is not None:
        raise DatasetError(f"{where}: class '{repeated}' is duplicated; names must differ")
    for label in labels:
        if not label or _UNWRITABLE.search(label):
            raise DatasetError(
                f"{where}: class name {label!r} is empty or holds control characters; rename it"
            )
