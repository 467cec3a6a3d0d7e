"""Reader of YOLO: one text file per image, class and normalised centre box per line."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from edge_retina.datasets.annotation import (
    UNSPLIT,
    AnnotatedSplits,
    ImageAnnotation,
    ObjectAnnotation,
    parse_number,
)
from edge_retina.datasets.annotation_table import AnnotationTableBuilder
from edge_retina.datasets.boundary import Boundary
from edge_retina.datasets.image_files import IMAGE_SUFFIXES, image_id_of, list_images, read_text
from edge_retina.datasets.layout import AnnotationFiles, DatasetFile, Layout, root_of
from edge_retina.datasets.problems import Problems
from edge_retina.datasets.threads import each_in_threads
from edge_retina.datasets.yolo_files import (
    find_yaml,
    images_by_split,
    label_directories,
    label_file,
    listed_images,
    load_yaml,
    read_labels,
)
from edge_retina.datasets.yolo_writer import write_yolo
from edge_retina.errors import DatasetError, shortened_list


def detect_yolo(given: Path) -> AnnotationFiles | None:
    """Return a YAML file, or that of a directory if it has one or directories of label files.

    Raises:
        DatasetError: malformed YAML.
    """
    if given.is_file():
        return AnnotationFiles(root_of(given), {given: load_yaml(given, None)})
    path = find_yaml(given)
    if path is not None:
        return AnnotationFiles(given, {path: load_yaml(path, Boundary(given))})
    return AnnotationFiles(given) if label_directories(given) else None


def read_yolo(found: AnnotationFiles, problems: Problems) -> AnnotatedSplits:
    """Read a YOLO data set.

    Class names are those of `data.yaml` or of `classes.txt`; if both are there they must agree.
    Split paths of `data.yaml` are often left over from another machine; if one doesn't exist inside
    the data set, the directories are used instead. An image without a label file has no
    objects. Polygons are replaced by the box around them.

    Args:
        found: the YAML file, if there is one. In `dataset.toml`, `annotations` is the directory of
            the label files, and a split is a list of images or a directory of them.
        problems: collects what was left out.

    Raises:
        DatasetError: no class names, or two lists that disagree.
    """
    root = found.root
    boundary = Boundary(root)
    if found.described is not None:
        return _read_described(found.described, boundary, problems)
    path, tree = next(iter(found.files.items()), (None, {}))
    labels = read_labels(root, path, tree, boundary)
    images = images_by_split(root, tree, boundary)
    reader = _Reader(root, labels, boundary, problems)
    rows = {
        split: reader.read([(item, label_file(item, root)) for item in items])
        for split, items in images.items()
    }
    _report_orphans(root, images, problems)
    return AnnotatedSplits(labels, reader.table.tables(rows))


def _read_described(
    described: DatasetFile, boundary: Boundary, problems: Problems
) -> AnnotatedSplits:
    base, annotations = described.images, described.annotations or described.root
    places = described.splits or {UNSPLIT: base}
    reader = _Reader(base, described.labels, boundary, problems)
    rows = {}
    for split, place in places.items():
        if place.is_dir() and not place.is_relative_to(base):
            raise DatasetError(
                f"{described.path}, splits.{split}: {place} is not below the images' {base}"
            )
        images = (
            list_images(place, boundary=boundary)
            if place.is_dir()
            else listed_images(place, base, boundary)
        )
        files = [(image, _beside(image, base, annotations)) for image in images]
        rows[split] = reader.read(files)
    return AnnotatedSplits(described.labels, reader.table.tables(rows))


def _report_orphans(root: Path, images: dict[str, list[Path]], problems: Problems) -> None:
    """Note label files whose image is missing."""
    known = {label_file(item, root) for items in images.values() for item in items}
    for directory in label_directories(root):
        for path in sorted(directory.rglob("*.txt")):
            if path not in known and path.name not in ("classes.txt", "labels.txt"):
                image = directory.parent / "images" / path.relative_to(directory)
                if not any(image.with_suffix(suffix).exists() for suffix in IMAGE_SUFFIXES):
                    problems.add("missing-image", str(path), "no image for this label file")


def _beside(image: Path, base: Path, annotations: Path) -> Path:
    return annotations / image.relative_to(base).with_suffix(".txt")


class _Reader:
    """Reads the label files of images, split by split.

    Attributes:
        table: takes what is read.
    """

    def __init__(
        self, base: Path, labels: tuple[str, ...], boundary: Boundary, problems: Problems
    ) -> None:
        """Take what all splits share; an image's id is its path below `base`."""
        self.table = AnnotationTableBuilder()
        self._base, self._labels = base, labels
        self._boundary, self._problems = boundary, problems

    def read(self, files: list[tuple[Path, Path]]) -> list[int]:
        """Read (image, label file) pairs; return their rows in the table.

        Each file is read once and each image kept once, however often a list repeats the image or
        names others that would share the file.
        """
        counts = Counter(path for _, path in files)
        found = each_in_threads(self._read_objects, list(counts))
        shared: dict[Path, tuple[ObjectAnnotation, ...] | None] = {}  # by label file
        known: dict[Path, int] = {}  # rows by image, of those files
        rows = []
        for image, path in files:
            if image in known:
                rows.append(known[image])
                continue
            if path in shared:
                objects = shared[path]
            else:
                objects, own = next(found)
                self._problems.gather([own])
            row = self.table.append(
                ImageAnnotation(
                    image_id=image_id_of(image, self._base),
                    path=image,
                    source=str(image if objects is None else path),
                    objects=objects or (),
                    normalized=True,
                )
            )
            if counts[path] > 1:
                shared[path], known[image] = objects, row
            rows.append(row)
        return rows

    def _read_objects(self, path: Path) -> tuple[tuple[ObjectAnnotation, ...] | None, Problems]:
        """Return the objects of a label file, None where there is no file."""
        own = Problems(self._problems.skip_invalid)
        if not os.path.isfile(path):
            return None, own
        return _read_lines(self._boundary.check(path), self._labels, own), own


def _read_lines(
    path: Path, labels: tuple[str, ...], problems: Problems
) -> tuple[ObjectAnnotation, ...]:
    found = (
        _read_object(line.split(), number, path, labels, problems)
        for number, line in enumerate(read_text(path).splitlines(), 1)
        if line.strip()
    )
    return tuple(item for item in found if item is not None)


def _read_object(
    fields: list[str], number: int, path: Path, labels: tuple[str, ...], problems: Problems
) -> ObjectAnnotation | None:
    name = f"line {number}"
    values = [parse_number(field) for field in fields]
    numbers = [value for value in values if value is not None]
    is_box, is_polygon = len(fields) == 5, len(fields) >= 7 and len(fields) % 2 == 1
    if len(numbers) != len(fields) or not (is_box or is_polygon):
        got = " ".join(fields[:8])
        what = f"got '{got}', expected the numbers class x y width height (0..1)"
        problems.add("malformed-annotation", f"{path}, {name}", what)
        return None
    # Not `in range(...)`: with a float that goes through all classes.
    if not (0 <= numbers[0] < len(labels) and numbers[0].is_integer()):
        allowed = f"0..{len(labels) - 1} ({shortened_list(labels)})"
        what = f"class {fields[0]} is not in the list; allowed: {allowed}"
        problems.add("unknown-class", f"{path}, {name}", what)
        return None
    if is_box:
        x, y, width, height = numbers[1:]
        yxyx = (y - height / 2, x - width / 2, y + height / 2, x + width / 2)
    else:
        xs, ys = numbers[1::2], numbers[2::2]
        yxyx = (min(ys), min(xs), max(ys), max(xs))
    return ObjectAnnotation(name, labels[int(numbers[0])], yxyx)


YOLO = Layout(
    name="yolo",
    title="YOLO",
    files="data.yaml, or labels/ with classes.txt",
    suffixes=(".yaml", ".yml"),
    detect=detect_yolo,
    read=read_yolo,
    write=write_yolo,
    file_per_image=True,
    labels="always",
)
