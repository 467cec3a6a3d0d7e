"""The form of an annotation format: what a row of the table in `layouts.py` consists of."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from edge_retina.datasets.annotation import AnnotatedSplits
from edge_retina.datasets.problems import Problems
from edge_retina.datasets.schema import Dataset
from edge_retina.errors import DatasetError

# Directories that hold annotation files only: the data set is the directory above.
_ANNOTATION_DIRECTORIES = ("annotations", "csv", "labels")
_SHARD_NUMBER = re.compile(r"-\d+-of-\d+$")  # as in coco_val.record-00003-of-00010


@dataclass(frozen=True)
class DatasetFile:
    """A `dataset.toml`, checked: every path exists and lies inside `root`.

    Attributes:
        path: the file.
        root: its directory.
        layout: name of the layout.
        images: the directory that image names are relative to.
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

    def annotation_files(self, suffix: str) -> list[Path]:
        """Return the annotation files of a layout that has one for many images.

        Raises:
            DatasetError: there are none.
        """
        if self.splits or self.annotations is None:
            return list(self.splits.values())
        if not self.annotations.is_dir():
            return [self.annotations]
        files = sorted(self.annotations.glob(f"*{suffix}"))
        if not files:
            raise DatasetError(f"{self.path}, annotations: no *{suffix} in {self.annotations}")
        return files

    def split_of(self, file: Path) -> str | None:
        """Return the split that an annotation file is; None where the file names none."""
        return next((name for name, place in self.splits.items() if place == file), None)


@dataclass(frozen=True)
class AnnotationFiles:
    """What a layout reads.

    Attributes:
        root: the directory of the data set.
        files: the annotation files that were detected, each with what detection learned of it (its
            parsed content, say), so that nothing is read twice.
        described: the data set's `dataset.toml`, which then says where the files are.
        thorough: hold contents against checksums too, in layouts that have some.
    """

    root: Path
    files: Mapping[Path, Any] = field(default_factory=dict)
    described: DatasetFile | None = None
    thorough: bool = False


@dataclass(frozen=True)
class Layout:
    """An annotation format.

    Attributes:
        name: in `dataset.toml`, `convert --to` and results.
        title: the format's usual name.
        files: the annotation files of a data set, for messages and help.
        suffixes: lower-case suffixes of a file that may be given instead of the directory; empty
            if no single file is a data set.
        detect: returns the annotation files of a directory, or of a file with one of `suffixes`;
            None if there are none of this layout.
        read: reads them; invalid things go into `problems`, what can't be read at all raises
            DatasetError.
        write: writes a data set into a new directory and returns one line for each thing that the
            layout can't express.
        file_per_image: each image has an annotation file, so in `dataset.toml` `annotations` is a
            directory and a split is a list of images or a directory. Else a file holds the
            annotations of many images, and a split is such a file.
        labels: whether `dataset.toml` may name the classes. "never": the files do; "optional": by
            default all that occur; "always": the files have numbers only.
    """

    name: str
    title: str
    files: str
    suffixes: tuple[str, ...]
    detect: Callable[[Path], AnnotationFiles | None]
    read: Callable[[AnnotationFiles, Problems], AnnotatedSplits]
    write: Callable[[Dataset, Path], tuple[str, ...]]
    file_per_image: bool
    labels: Literal["never", "optional", "always"]


def annotation_suffix(path: Path) -> str:
    """Return a file's suffix in lower case, without the number of a shard behind it."""
    return _SHARD_NUMBER.sub("", path.suffix).lower()


def root_of(path: Path) -> Path:
    """Return the data set's directory for an annotation file, or for a directory of them."""
    parent = path.parent if path.is_file() else path
    return parent.parent if parent.name in _ANNOTATION_DIRECTORIES else parent
