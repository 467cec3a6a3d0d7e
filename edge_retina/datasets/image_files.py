"""Finding a data set's pictures, and never leaving its directory while doing so."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath, PureWindowsPath

from edge_retina.errors import DatasetError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff"})
_IMAGE_DIRECTORIES = ("images", "JPEGImages")


def relative_path(text: str, *, where: str) -> PurePosixPath:
    """Return a path from an annotation file, made sure to stay inside the data set.

    Raises:
        DatasetError: it is absolute or climbs out; a data set from elsewhere must not be able to
            name any file of this machine.
    """
    posix = text.strip().replace("\\", "/")
    parts: list[str] = []
    for part in PurePosixPath(posix).parts:
        if part == ".." and not parts:
            raise DatasetError(
                f"{where}: path '{text}' leads out of the data set; use a path inside it"
            )
        if part == "..":
            parts.pop()
        elif part != ".":
            parts.append(part)
    if posix.startswith("/") or PureWindowsPath(text).drive:
        raise DatasetError(
            f"{where}: path '{text}' is absolute; use a path relative to the data set"
        )
    if not parts or "\0" in text:
        raise DatasetError(f"{where}: path '{text}' names no file; use a path inside the data set")
    return PurePosixPath(*parts)


def image_id_of(path: Path, root: Path) -> str:
    """Return a picture's id: its path below `images/` or `JPEGImages/`, else below `root`."""
    relative = path.relative_to(root)
    if len(relative.parts) > 1 and relative.parts[0] in _IMAGE_DIRECTORIES:
        relative = relative.relative_to(relative.parts[0])
    return relative.as_posix()


def list_images(directory: Path) -> list[Path]:
    """Return all pictures below a directory, sorted; hidden files and directories are left out."""
    found = []
    for parent, directories, names in os.walk(directory, followlinks=True):
        directories[:] = [name for name in directories if not name.startswith(".")]
        for name in names:
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES:
                found.append(Path(parent, name))
    return sorted(found)


def subdirectories(directory: Path) -> list[Path]:
    """Return the directories in a directory, sorted; none if it does not exist."""
    return sorted(path for path in directory.glob("*") if path.is_dir())


def first_file(directories: Iterable[Path], relative: PurePosixPath) -> Path | None:
    """Return the first existing `directory / relative`."""
    for directory in directories:
        path = directory / relative
        if path.is_file():
            return path
    return None


def read_text(path: Path) -> str:
    """Read a text file of a data set; a byte-order mark is dropped.

    Raises:
        DatasetError: it can't be read or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DatasetError(f"{path}: can't be read ({error.strerror or error})") from None
    except UnicodeDecodeError:
        raise DatasetError(f"{path}: not UTF-8 text; save it as UTF-8") from None


def read_label_file(root: Path) -> tuple[str, ...]:
    """Return the class names of `labels.txt` or `classes.txt` in `root`; empty where there is none.

    Raises:
        DatasetError: a name stands there twice.
    """
    for name in ("labels.txt", "classes.txt"):
        path = root / name
        if path.is_file():
            labels = tuple(line.strip() for line in read_text(path).splitlines() if line.strip())
            check_labels(labels, where=str(path))
            return labels
    return ()


def check_labels(labels: tuple[str, ...], *, where: str) -> None:
    """Refuse an empty list and repeated names.

    Raises:
        DatasetError: see above.
    """
    if not labels:
        raise DatasetError(f"{where}: no class names; expected at least one")
    repeated = sorted({label for label in labels if labels.count(label) > 1})
    if repeated:
        raise DatasetError(f"{where}: class '{repeated[0]}' stands there twice; names must differ")
