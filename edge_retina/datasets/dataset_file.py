"""`dataset.toml`: says where things are in a data set whose directories have unusual names.

    layout = "voc"              # the annotation format, as in `convert --to`; required
    images = "photos"           # directory of the images; by default that of dataset.toml
    annotations = "boxes"       # a file or directory with the annotations
    labels = ["cat", "dog"]     # class names in order, or a file with one per line

    [splits]                    # optional; without it a split is made by hashing image names
    train = "lists/train.txt"
    val = "lists/val.txt"

In layouts with an annotation file for each image, such as VOC and YOLO, `annotations` is a
directory and a split is a list of images or a directory. In the others, such as COCO and CSV, both
are annotation files; `annotations` may be a directory of them, and isn't needed with `splits`.
`labels` are required where the files have numbers only (YOLO) and not allowed where they name all
classes (COCO). Elsewhere they are, by default, all classes that occur, sorted.

Paths are relative to `dataset.toml`, must exist and must not lead out of its directory. File names
in annotations and lists are relative to `images`; the annotation of `images/a/b.jpg` is
`annotations/a/b.xml` or `.txt`.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_retina.datasets.boundary import Boundary
from edge_retina.datasets.class_names import check_class_names, read_label_lines
from edge_retina.datasets.image_files import (
    read_text,
    relative_path,
)
from edge_retina.datasets.layout import DatasetFile, Layout
from edge_retina.datasets.layouts import LAYOUTS
from edge_retina.datasets.splits import split_name
from edge_retina.errors import DatasetError, choices_hint
from edge_retina.schema import Reader

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE_NAME = "dataset.toml"


@dataclass(frozen=True)
class _Document:
    """The keys of the file, as they are written; see above."""

    layout: str
    images: str = "."
    annotations: str | None = None
    labels: Any = None  # a list of names, or a file
    splits: dict[str, str] = field(default_factory=dict)


def read_dataset_file(path: Path) -> DatasetFile:
    """Read and check a `dataset.toml`.

    Raises:
        DatasetError: malformed, an unknown key, a path that is missing or leads elsewhere.
    """
    document = Reader(str(path), DatasetError).read(_Document, _load(path))
    if document.layout not in LAYOUTS:
        hint = choices_hint(document.layout, LAYOUTS)
        raise DatasetError(f"{path}, layout: got {document.layout!r}; {hint}")
    layout = LAYOUTS[document.layout]
    places = _Places(path, Boundary(path.parent))
    splits = _read_splits(document.splits, layout, places)
    annotations = None
    if document.annotations is not None:
        annotations = places.find(document.annotations, "annotations")
    if annotations is None and (layout.file_per_image or not splits):
        raise DatasetError(f"{path}: no 'annotations'; name the file or directory that holds them")
    if layout.file_per_image and annotations is not None and not annotations.is_dir():
        raise DatasetError(f"{path}, annotations: {annotations} is not a directory")
    images = places.find(document.images, "images")
    if not images.is_dir():
        raise DatasetError(f"{path}, images: {images} is not a directory")
    labels = _read_labels(document.labels, layout, places)
    return DatasetFile(path, path.parent, layout.name, images, annotations, labels, splits)


@dataclass(frozen=True)
class _Places:
    """Turns the paths of a file into paths of this machine."""

    path: Path
    boundary: Boundary

    def find(self, text: str, key: str) -> Path:
        where = f"{self.path}, {key}"
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


def _read_splits(given: dict[str, str], layout: Layout, places: _Places) -> dict[str, Path]:
    splits: dict[str, Path] = {}
    for key, text in given.items():
        name = split_name(key)
        if not name or not all(c.isalnum() or c in "-_." for c in name) or name.startswith("."):
            raise DatasetError(
                f"{places.path}, splits: name {key!r} can't be part of a file name; "
                "use letters, digits, - and _"
            )
        if name in splits:
            raise DatasetError(f"{places.path}, splits: a second entry for split '{name}'")
        place = places.find(text, f"splits.{key}")
        if not layout.file_per_image and (place.is_dir() or place in splits.values()):
            raise DatasetError(
                f"{places.path}, splits.{key}: got '{text}', expected an annotation file of its own"
            )
        splits[name] = place
    return splits


def _read_labels(value: Any, layout: Layout, places: _Places) -> tuple[str, ...]:
    where = f"{places.path}, labels"
    if value is None:
        if layout.labels == "always":
            raise DatasetError(
                f"{where}: missing; {layout.title} files have numbers only, so name the classes"
            )
        return ()
    if layout.labels == "never":
        raise DatasetError(f"{where}: not allowed for {layout.name}, whose files name the classes")
    if isinstance(value, str):
        return read_label_lines(places.find(value, "labels"), boundary=places.boundary)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise DatasetError(f"{where}: got {value!r}, expected a list of names, or a file")
    labels = tuple(item.strip() for item in value)
    check_class_names(labels, where=where)
    return labels
