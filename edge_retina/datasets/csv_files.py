"""Reader of CSV annotations: one object per line, in two forms.

With a header: `filename,width,height,class,xmin,ymin,xmax,ymax` (columns found by name, `width`
and `height` may be missing). Without: `path,x1,y1,x2,y2,class` as keras-retinanet reads it. In
both, a line with nothing after the name is an image without objects.
"""

from __future__ import annotations

import csv
import itertools
import os
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from sys import intern

import numpy as np

from edge_retina.datasets.annotation import UNSPLIT, AnnotatedSplits, parse_number, parse_size
from edge_retina.datasets.annotation_table import (
    AnnotationTable,
    AnnotationTableBuilder,
    ObjectsRead,
)
from edge_retina.datasets.boundary import Boundary
from edge_retina.datasets.class_names import read_label_file
from edge_retina.datasets.columns import as_array
from edge_retina.datasets.csv_writer import write_csv
from edge_retina.datasets.image_files import (
    first_file,
    image_id_of,
    read_text,
    relative_path,
)
from edge_retina.datasets.layout import AnnotationFiles, DatasetFile, Layout, root_of
from edge_retina.datasets.problems import Problems
from edge_retina.datasets.splits import SPLITS, split_name
from edge_retina.errors import DatasetError

_HEADER = ("filename", "class", "xmin", "ymin", "xmax", "ymax")
_SIDES = ("ymin", "xmin", "ymax", "xmax")
_HEADERLESS = ("filename", "xmin", "ymin", "xmax", "ymax", "class")
_READ = (*_HEADER, "width", "height")
_CHARACTERS = 1 << 16  # that are cut into lines at a time
_FORMS = f"a header with {','.join(_HEADER)}, or lines path,x1,y1,x2,y2,class"


@dataclass(frozen=True, slots=True)
class _Row:
    """One line: its number in the file, and the fields that are read of it by column name."""

    number: int
    fields: dict[str, str]


def detect_csv(given: Path) -> AnnotationFiles | None:
    """Return a CSV file, or those files of a directory that hold annotations."""
    if given.is_file():
        return AnnotationFiles(root_of(given), {given: None})
    boundary = Boundary(given)
    for directory in (given, given / "annotations", given / "csv"):
        found = (boundary.check(path) for path in sorted(directory.glob("*.csv")))
        files = [path for path in found if _looks_like_annotations(path)]
        if files:
            return AnnotationFiles(root_of(given), dict.fromkeys(files))
    return None


def read_csv(found: AnnotationFiles, problems: Problems) -> AnnotatedSplits:
    """Read CSV annotation files.

    Each file is a split, named after it; where none has a usual name (train, val, test) the
    images of all of them are one set without splits. Class names are those of `labels.txt` or
    `classes.txt`, else all that occur, sorted.

    Args:
        found: the files; images are looked for beside them, in `images/` and in the root. In
            `dataset.toml`, `annotations` is a CSV file or a directory of them.
        problems: collects what was left out.

    Raises:
        DatasetError: a file of neither form, or a path that leads out of the data set.
    """
    root, described = found.root, found.described
    files = found.files if described is None else described.annotation_files(".csv")
    table = AnnotationTableBuilder()
    rows: dict[str, list[int]] = {}
    for path in files:
        name = described.split_of(path) if described is not None else None
        of_split = rows.setdefault(name or split_name(path.stem), [])
        of_split.extend(_read_file(path, root, problems, described, table))
    columns = table.finish()
    own_splits = described is not None and bool(described.splits)
    if not own_splits and not any(name in SPLITS for name in rows):
        everything = {columns.image_ids[row]: row for found in rows.values() for row in found}
        rows = {UNSPLIT: list(everything.values())}
    splits = {
        name: AnnotationTable(columns, np.array(found, np.int32)) for name, found in rows.items()
    }
    labels = described.labels if described is not None else read_label_file(root)
    if not labels:
        labels = tuple(sorted(set().union(*(split.used_labels() for split in splits.values()))))
    return AnnotatedSplits(labels, splits)


def _looks_like_annotations(path: Path) -> bool:
    first = next(_read_lines(path, itertools.islice(_lines(read_text(path)), 1)), (0, []))
    return _columns(first[1]) is not None


def _lines(text: str) -> Iterator[str]:
    """Yield what `text.splitlines()` holds, of which a large file has millions, bit by bit."""
    start = 0
    while start < len(text):
        stop = text.find("\n", start + _CHARACTERS) + 1 or len(text)
        yield from text[start:stop].splitlines()
        start = stop


def _read_lines(path: Path, lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, fields)."""
    reader = csv.reader(lines)
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:  # a field of more than 128 KiB, as an unclosed quote makes it
            raise DatasetError(
                f"{path}, line {reader.line_num}: malformed CSV ({error}); fix the file"
            ) from None
        yield reader.line_num, fields


def _columns(first: list[str]) -> tuple[tuple[str, ...], bool] | None:
    """Return the column names and whether this line is their header; None if it is neither form."""
    names = tuple(field.strip().lower() for field in first)
    if set(_HEADER) <= set(names):
        return names, True
    numbers = [parse_number(field) is not None for field in first[1:5]]
    empty = not any(field.strip() for field in first[1:])
    if len(first) == len(_HEADERLESS) and first[0].strip() and (all(numbers) or empty):
        return _HEADERLESS, False
    return None


def _read_rows(path: Path) -> Iterator[_Row]:
    columns: dict[str, int] | None = None
    for number, line in _read_lines(path, _lines(read_text(path))):
        if not any(field.strip() for field in line):
            continue
        if columns is None:
            form = _columns(line)
            if form is None:
                raise DatasetError(
                    f"{path}, line {number}: got '{','.join(line)[:200]}', expected {_FORMS}"
                )
            names, is_header = form
            # Only what is read: a line of nearly nothing under a header of 20,000 columns would
            # take as many fields.
            columns = {name: place for place, name in enumerate(names) if name in _READ}
            if is_header:
                continue
        yield _Row(
            number,
            {
                name: line[place].strip() if place < len(line) else ""
                for name, place in columns.items()
            },
        )


def _read_file(
    path: Path,
    root: Path,
    problems: Problems,
    described: DatasetFile | None,
    table: AnnotationTableBuilder,
) -> list[int]:
    """Add the images of a file to the table; return their rows."""
    base = described.images if described is not None else root
    directories = [base] if described is not None else _image_directories(path, root)
    content = _Content(table)
    for row in _read_rows(path):
        content.append(row)
    counts, kept = content.counts, np.zeros(len(content.first), bool)
    rows = []
    for place, (name, first) in enumerate(zip(content.names, content.first, strict=True)):
        number, height, width = first
        source = f"{path}, line {number}"
        image_path = _find_image(name, directories, root, source)
        if image_path is None:
            looked = "beside the file, in images/ and above" if described is None else f"in {base}"
            problems.add("missing-image", source, f"no such image '{name}'; looked {looked}")
            continue
        for row in content.odd.get(place, ()):
            _report_odd(row, path, problems)
        kept[place] = True
        rows.append(len(table))
        table.append_image(
            image_id_of(image_path, base),
            str(image_path),
            f"{path}, image {name}",
            size_hw=parse_size(height, width, where=source, problems=problems),
            normalized=False,
            objects=int(counts[place]),
        )
    content.move_to(table, kept)
    return rows


class _Content:
    """The lines of a file in columns; those of an image may stand anywhere.

    Attributes:
        first: number, height and width of the first line of each image, as texts; None if missing.
        odd: lines whose object can't be read, by image.
    """

    def __init__(self, table: AnnotationTableBuilder) -> None:
        """Take the table that is to hold the objects; it numbers the labels."""
        self.first: list[tuple[int, str | None, str | None]] = []
        self.odd: dict[int, list[_Row]] = {}
        self._table = table
        self._places: dict[str, int] = {}  # of images, by name
        self._image, self._label = array("i"), array("i")
        self._objects = ObjectsRead("line")

    @property
    def names(self) -> Iterable[str]:
        """Of the images, in the order of `first`."""
        return self._places.keys()

    @property
    def counts(self) -> np.ndarray:
        """(I,) how many objects that can be read each image has."""
        return np.bincount(as_array(self._image, np.int32), minlength=len(self.first))

    def append(self, row: _Row) -> None:
        """Add a line."""
        place = self._places.setdefault(row.fields["filename"], len(self.first))
        if place == len(self.first):
            height, width = (row.fields.get(side) for side in ("height", "width"))
            # Nearly always the same few texts
            self.first.append((row.number, height and intern(height), width and intern(width)))
        if not _has_object(row):
            return
        sides = tuple(parse_number(row.fields[side]) for side in _SIDES)
        if not row.fields["class"] or None in sides:
            self.odd.setdefault(place, []).append(row)
            return
        self._image.append(place)
        self._label.append(self._table.label_number(row.fields["class"]))
        self._objects.append(row.number, sides)  # type: ignore[arg-type]  # none is None

    def move_to(self, table: AnnotationTableBuilder, kept: np.ndarray) -> None:
        """Move the objects of those images (I,) that are kept to a table that has these images."""
        image = as_array(self._image, np.int32)
        rows = np.flatnonzero(kept[image])
        rows = rows[np.argsort(image[rows], kind="stable")]
        table.move_objects(self._objects, as_array(self._label, np.int32), rows)


def _image_directories(path: Path, root: Path) -> list[Path]:
    return [path.parent, path.parent / "images", root, root / "images", root / "JPEGImages"]


def _find_image(name: str, directories: list[Path], root: Path, source: str) -> Path | None:
    if os.path.isabs(name):  # keras-retinanet files hold absolute paths
        top = os.path.join(os.path.abspath(root), "")
        if not os.path.normpath(name).startswith(top):
            raise DatasetError(
                f"{source}: path '{name}' leads out of the data set; use a path inside it"
            )
        name = os.path.relpath(name, top)
        directories = [root]
    return first_file(directories, relative_path(name, where=source))


def _has_object(row: _Row) -> bool:
    return any(row.fields[column] for column in _HEADER[1:])


def _report_odd(row: _Row, path: Path, problems: Problems) -> None:
    """Say why the object of a line can't be read."""
    where = f"{path}, line {row.number}"
    if not row.fields["class"]:
        problems.add("missing-class", where, "has no class name")
        return
    side = next(side for side in _SIDES if parse_number(row.fields[side]) is None)
    what = f"{side} is {row.fields[side]!r}, expected a number"
    problems.add("malformed-annotation", where, what)


CSV = Layout(
    name="csv",
    title="CSV",
    files="*.csv",
    suffixes=(".csv",),
    detect=detect_csv,
    read=read_csv,
    write=write_csv,
    file_per_image=False,
    labels="optional",
)
