"""`dataset.toml`: tells where things are in a data set whose directories have unusual names.

    layout = "voc"              # coco, voc, yolo or csv: the form of the annotations; required
    images = "photos"           # directory of the pictures; by default that of dataset.toml
    annotations = "boxes"       # what holds the annotations; see below
    labels = ["cat", "dog"]     # class names in order, or a file with one a line

    [splits]                    # optional; without it a split is made by hashing image names
    train = "lists/train.txt"
    val = "lists/val.txt"

| layout | annotations | a split is | labels |
| --- | --- | --- | --- |
| coco | a JSON file, or a directory of them | a JSON file | not allowed: the categories are |
| csv | a CSV file, or a directory of them | a CSV file | by default all that occur, sorted |
| voc | the directory of the XML files | a list of stems, or a directory of XML files | likewise |
| yolo | the directory of the label files | a list of pictures, or a directory of them | required |

Paths are relative to `dataset.toml`, must exist and must not lead out of its directory. File names
in annotations and lists are relative to `images`; the annotation of `images/a/b.jpg` is
`annotations/a/b.xml` or `.txt`. With `splits`, coco and csv need no `annotations`.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_retina.datasets.boundary import Boundary
from edge_retina.datasets.image_files import (
    check_labels,
    read_label_lines,
    read_text,
    relative_path,
)
from edge_retina.datasets.splits import split_name
from edge_retina.errors import DatasetError, choices_hint

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE_NAME = "dataset.toml"
_KEYS = ("layout", "images", "annotations", "labels", "splits")
_LAYOUTS = ("coco", "voc", "yolo", "csv")
_SPLITS_ARE_ANNOTATIONS = ("coco", "csv")


@dataclass(frozen=True)
class DatasetFile:
    """A `dataset.toml`, checked: every path exists and lies inside `root`.

    Attributes:
        path: the file.
        root: its directory.
        layout: "coco", "voc", "yolo" or "csv".
        images: the directory that names of pictures are relative to.
        annotations: a file or directory; None where `splits` name all of them.
        labels: class names in order; empty if the annotations decide.
        splits: a file or directory by split name; empty if there are none.
    """

    path: Path
    root: Path
    layout: str
    images: Path
    annotations: Path | None
    labels: tuple[str, ...]
    splits: dict[str, Path]

    def annotation_files(self) -> list[Path]:
        """Return the annotation files of coco and csv.

        Raises:
            DatasetError: there are none.
        """
        if self.splits or self.annotations is None:
            return list(self.splits.values())
        if not self.annotations.is_dir():
            return [self.annotations]
        suffix = ".json" if self.layout == "coco" else ".csv"
        files = sorted(self.annotations.glob(f"*{suffix}"))
        if not files:
            raise DatasetError(f"{self.path}, annotations: no *{suffix} in {self.annotations}")
        return files

    def split_of(self, file: Path) -> str | None:
        """Return the split that an annotation file is; None where the file names none."""
        return next((name for name, place in self.splits.items() if place == file), None)


def read_dataset_file(path: Path) -> DatasetFile:
    """Read and check a `dataset.toml`.

    Raises:
        DatasetError: malformed, an unknown key, a path that is missing or leads elsewhere.
    """
    tree = _load(path)
    for key in tree:
        if key not in _KEYS:
            raise DatasetError(f"{path}: unknown key '{key}'; {choices_hint(key, _KEYS)}")
    layout = tree.get("layout")
    if not isinstance(layout, str) or layout not in _LAYOUTS:
        raise DatasetError(f"{path}, layout: got {layout!r}; {choices_hint(str(layout), _LAYOUTS)}")
    places = _Places(path, Boundary(path.parent))
    splits = _read_splits(tree.get("splits", {}), layout, places)
    annotations = places.find(tree["annotations"], "annotations") if "annotations" in tree else None
    if annotations is None and not (splits and layout in _SPLITS_ARE_ANNOTATIONS):
        raise DatasetError(f"{path}: no 'annotations'; name the file or directory that holds them")
    if layout in ("voc", "yolo") and annotations is not None and not annotations.is_dir():
        raise DatasetError(f"{path}, annotations: {annotations} is not a directory")
    images = places.find(tree["images"], "images") if "images" in tree else path.parent
    if not images.is_dir():
        raise DatasetError(f"{path}, images: {images} is not a directory")
    labels = _read_labels(tree.get("labels"), layout, places)
    return DatasetFile(path, path.parent, layout, images, annotations, labels, splits)


@dataclass(frozen=True)
class _Places:
    """Turns the paths of a file into paths of this machine."""

    path: Path
    boundary: Boundary

    def find(self, text: Any, key: str) -> Path:
        where = f"{self.path}, {key}"
        if not isinstance(text, str):
            raise DatasetError(f"{where}: got {text!r}, expected a relative path as text")
        if text.strip() in (".", "./"):
            return self.path.parent
        found = self.path.parent / relative_path(text, where=where)
        self.boundary.check(found)
        if not os.path.exists(found):  # not Path.exists, which raises if the name is too long
            raise DatasetError(f"{where}: no such file or directory '{text}' beside {FILE_NAME}")
        return found


def _load(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_text(path))
    except (ValueError, RecursionError) as error:  # ValueError also for numbers of 5,000 digits
        raise DatasetError(f"{path}: not valid TOML: {error}") from None


def _read_splits(value: Any, layout: str, places: _Places) -> dict[str, Path]:
    if not isinstance(value, dict):
        raise DatasetError(
            f"{places.path}, splits: got {value!r}, expected a section with lines like train = ..."
        )
    splits: dict[str, Path] = {}
    for key, text in value.items():
        name = split_name(key)
        if not name or not all(c.isalnum() or c in "-_." for c in name) or name.startswith("."):
            raise DatasetError(
                f"{places.path}, splits: name {key!r} can't be part of a file name; "
                "use letters, digits, - and _"
            )
        if name in splits:
            raise DatasetError(f"{places.path}, splits: a second entry for split '{name}'")
        place = places.find(text, f"splits.{key}")
        if layout in _SPLITS_ARE_ANNOTATIONS and (place.is_dir() or place in splits.values()):
            raise DatasetError(
                f"{places.path}, splits.{key}: got '{text}', expected an annotation file of its own"
            )
        splits[name] = place
    return splits


def _read_labels(value: Any, layout: str, places: _Places) -> tuple[str, ...]:
    where = f"{places.path}, labels"
    if value is None:
        if layout == "yolo":
            raise DatasetError(f"{where}: missing; YOLO files hold numbers, so name the classes")
        return ()
    if layout == "coco":
        raise DatasetError(f"{where}: not allowed for coco, whose files name their categories")
    if isinstance(value, str):
        return read_label_lines(places.find(value, "labels"), boundary=places.boundary)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise DatasetError(f"{where}: got {value!r}, expected a list of names, or a file")
    labels = tuple(item.strip() for item in value)
    check_labels(labels, where=where)
    return labels
