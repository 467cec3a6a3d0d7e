"""Reader of CSV annotations: one object per line, in two forms.

With a header: `filename,width,height,class,xmin,ymin,xmax,ymax` (columns found by name, `width`
and `height` may be missing). Without: `path,x1,y1,x2,y2,class` as keras-retinanet reads it. In
both, a line with nothing after the name is an image without objects.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_retina.datasets.annotation import (
    UNSPLIT,
    AnnotatedSplits,
    ImageAnnotation,
    ObjectAnnotation,
    parse_number,
    parse_size,
)
from edge_retina.datasets.boundary import Boundary
from edge_retina.datasets.class_names import read_label_file
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
_FORMS = f"a header with {','.join(_HEADER)}, or lines path,x1,y1,x2,y2,class"


@dataclass(frozen=True)
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
    by_name: dict[str, list[ImageAnnotation]] = {}
    for path in files:
        name = described.split_of(path) if described is not None else None
        images = _read_file(path, root, problems, described)
        by_name.setdefault(name or split_name(path.stem), []).extend(images)
    own_splits = described is not None and bool(described.splits)
    if not own_splits and not any(name in SPLITS for name in by_name):
        everything = {item.image_id: item for items in by_name.values() for item in items}
        by_name = {UNSPLIT: list(everything.values())}
    used = {item.label for items in by_name.values() for image in items for item in image.objects}
    labels = described.labels if described is not None else read_label_file(root)
    return AnnotatedSplits(labels or tuple(sorted(used)), by_name)


def _looks_like_annotations(path: Path) -> bool:
    first = next(_read_lines(path, read_text(path).splitlines()[:1]), (0, []))
    return _columns(first[1]) is not None


def _read_lines(path: Path, lines: list[str]) -> Iterator[tuple[int, list[str]]]:
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
    for number, line in _read_lines(path, read_text(path).splitlines()):
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
    path: Path, root: Path, problems: Problems, described: DatasetFile | None
) -> list[ImageAnnotation]:
    base = described.images if described is not None else root
    directories = [base] if described is not None else _image_directories(path, root)
    by_image: dict[str, list[_Row]] = {}
    for row in _read_rows(path):
        by_image.setdefault(row.fields["filename"], []).append(row)
    images = []
    for name, rows in by_image.items():
        source = f"{path}, line {rows[0].number}"
        image_path = _find_image(name, directories, root, source)
        if image_path is None:
            looked = "beside the file, in images/ and above" if described is None else f"in {base}"
            problems.add("missing-image", source, f"no such image '{name}'; looked {looked}")
            continue
        objects = [_read_object(row, path, problems) for row in rows if _has_object(row)]
        images.append(
            ImageAnnotation(
                image_id=image_id_of(image_path, base),
                path=image_path,
                source=f"{path}, image {name}",
                objects=tuple(item for item in objects if item is not None),
                size_hw=_stated_size(rows[0].fields, source, problems),
            )
        )
    return images


def _stated_size(fields: dict[str, str], source: str, problems: Problems) -> tuple[int, int] | None:
    return parse_size(fields.get("height"), fields.get("width"), where=source, problems=problems)


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


def _read_object(row: _Row, path: Path, problems: Problems) -> ObjectAnnotation | None:
    name = f"line {row.number}"
    label = row.fields["class"]
    if not label:
        problems.add("missing-class", f"{path}, {name}", "has no class name")
        return None
    sides = []
    for side in _SIDES:
        value = parse_number(row.fields[side])
        if value is None:
            what = f"{side} is {row.fields[side]!r}, expected a number"
            problems.add("malformed-annotation", f"{path}, {name}", what)
            return None
        sides.append(value)
    return ObjectAnnotation(name, label, (sides[0], sides[1], sides[2], sides[3]))


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
