"""Reader of Pascal VOC: one XML per image, split lists in `ImageSets/Main`.

Coordinates are used as they are. The VOC devkit counts pixels from 1 and includes the last one,
but nearly every file of today was written by labelImg or a converter, which write continuous
coordinates (labelImg only raises a 0 to 1). Subtracting 1 would shift those by a pixel to mend very
few others.
"""

from __future__ import annotations

import posixpath
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from edge_retina.datasets.annotation import (
    UNSPLIT,
    AnnotatedSplits,
    ImageAnnotation,
    ObjectAnnotation,
    parse_number,
    parse_size,
)
from edge_retina.datasets.annotation_table import AnnotationTableBuilder
from edge_retina.datasets.boundary import Boundary
from edge_retina.datasets.class_names import read_label_file
from edge_retina.datasets.image_files import (
    below,
    image_id_of,
    read_text,
)
from edge_retina.datasets.layout import AnnotationFiles, DatasetFile, Layout
from edge_retina.datasets.problems import Problems
from edge_retina.datasets.splits import SPLITS, split_name
from edge_retina.datasets.threads import each_in_threads
from edge_retina.datasets.voc_files import Images, described_files, split_lists, xml_files
from edge_retina.datasets.voc_writer import write_voc
from edge_retina.errors import DatasetError

_SIDES = ("ymin", "xmin", "ymax", "xmax")
# What lets a small file unfold into gigabytes: entities, attributes that every element gets by
# default, and the name of a name space, which is put before that of every element.
_UNFOLDING = {
    "declares XML entities": re.compile("<!ENTITY"),
    "declares default attributes": re.compile("<!ATTLIST"),
    "has a name space of over 1,000 characters": re.compile(
        r"xmlns[^=<>]{0,200}=\s*(?:\"[^\"]{1000}|'[^']{1000})"
    ),
}
_Rows = dict[Path, "int | None"]  # of the table, by XML file; None: left out, noted already


def detect_voc(root: Path) -> AnnotationFiles | None:
    """Return the XML files of a directory."""
    files = xml_files(root, Boundary(root))
    return AnnotationFiles(root, files) if files else None


def read_voc(found: AnnotationFiles, problems: Problems) -> AnnotatedSplits:
    """Read a Pascal VOC data set.

    XML files lie in `Annotations/` or `annotations/`, beside the images, or in a directory for
    each split. Class names are those of `labels.txt` or `classes.txt`, else all that occur, sorted.
    Objects marked `difficult` are neither trained on nor counted, as in the VOC challenge.

    Args:
        found: the XML files; in `dataset.toml`, `annotations` is their directory, and a split is a
            list of their stems or a directory in it.
        problems: collects what was left out.

    Raises:
        DatasetError: a file that can't be read at all, or that lies outside.
    """
    root, described = found.root, found.described
    boundary = Boundary(root)
    images = Images(root, described, boundary)
    files = dict(found.files) if described is None else described_files(described, boundary)
    table = AnnotationTableBuilder()
    rows = _read_images(files, images, boundary, problems, table)
    if described is not None:
        splits = _described_splits(described, rows, problems)
    elif lists := split_lists(root, boundary):
        splits = _listed_splits(lists, next(iter(files.values())), rows, problems)
    else:
        splits = _directory_splits(root, files, rows)
    labels = described.labels if described is not None else read_label_file(root)
    labels = labels or tuple(sorted(table.labels))
    return AnnotatedSplits(labels, table.tables(splits))


def _read_images(
    files: dict[Path, Path],
    images: Images,
    boundary: Boundary,
    problems: Problems,
    table: AnnotationTableBuilder,
) -> _Rows:
    """Add the images of XML files to the table; return their rows."""

    def read(file: tuple[Path, Path]) -> tuple[ImageAnnotation | None, Problems]:
        path, base = file
        own = Problems(problems.skip_invalid)
        return _read_image(boundary.check(path), base, images, own), own

    rows: _Rows = {}
    found = each_in_threads(read, list(files.items()))
    for path, (item, own) in zip(files, found, strict=True):
        problems.gather([own])
        rows[path] = None if item is None else table.append(item)
    return rows


def _described_splits(
    described: DatasetFile, rows: _Rows, problems: Problems
) -> dict[str, list[int]]:
    if not described.splits:
        return {UNSPLIT: [row for row in rows.values() if row is not None]}
    base = described.annotations or described.root
    return {
        split: [row for path, row in rows.items() if row is not None and place in path.parents]
        if place.is_dir()
        else _read_list(place, base, rows, problems)
        for split, place in described.splits.items()
    }


def _read_image(
    path: Path, base: Path, images: Images, problems: Problems
) -> ImageAnnotation | None:
    text = read_text(path)
    what = next((words for words, found in _UNFOLDING.items() if found.search(text)), "")
    if what:
        what += ", which annotations have no use for"
        problems.add("malformed-annotation", str(path), what)
        return None
    try:
        tree = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:  # ValueError: an encoding unknown here
        problems.add("malformed-annotation", str(path), f"malformed XML ({error})")
        return None
    stated = tree.findtext("filename", "").strip()
    name = posixpath.splitext(below(path, base))[0]
    image_path = images.find(path, name, stated)
    if image_path is None:
        what = f"no image '{stated or name}' in {images.looked_in}"
        problems.add("missing-image", str(path), what)
        return None
    objects = []
    for number, element in enumerate(tree.iter("object"), 1):
        item = _read_object(element, number, path, problems)
        if item is not None:
            objects.append(item)
    return ImageAnnotation(
        image_id=image_id_of(image_path, images.base),
        path=image_path,
        source=str(path),
        objects=tuple(objects),
        size_hw=parse_size(
            tree.findtext("size/height"),
            tree.findtext("size/width"),
            where=str(path),
            problems=problems,
        ),
    )


def _read_object(
    element: ElementTree.Element, number: int, path: Path, problems: Problems
) -> ObjectAnnotation | None:
    name = f"object {number}"
    # Not `findtext`: it interprets a path for every object of perhaps a million.
    parts = {part.tag: part for part in reversed(element)}
    label = (parts["name"].text or "").strip() if "name" in parts else ""
    if not label:
        problems.add("missing-class", f"{path}, {name}", "has no class name")
        return None
    texts = {side.tag: side.text for side in reversed(parts["bndbox"])} if "bndbox" in parts else {}
    sides = []
    for side in _SIDES:
        text = texts.get(side)
        value = parse_number(text)
        if value is None:
            what = f"{side} is {text!r}, expected a number"
            problems.add("malformed-annotation", f"{path}, {name}", what)
            return None
        sides.append(value)
    difficult = "difficult" in parts and _is_set(parts["difficult"].text)
    return ObjectAnnotation(
        name, label, (sides[0], sides[1], sides[2], sides[3]), difficult=difficult
    )


def _is_set(text: str | None) -> bool:
    """Whether a flag is on; some tools write words instead of VOC's 1 and 0."""
    return (text or "").strip().lower() in ("1", "true", "yes")


def _directory_splits(root: Path, files: dict[Path, Path], rows: _Rows) -> dict[str, list[int]]:
    """Return images by the directory of their XML, if that is `train/` or the like."""
    splits: dict[str, list[int]] = {}
    for path, base in files.items():
        own = split_name(base.name)
        row = rows[path]
        if row is not None:
            split = own if own in SPLITS and base != root else UNSPLIT
            splits.setdefault(split, []).append(row)
    return splits


def _listed_splits(
    lists: list[Path], base: Path, rows: _Rows, problems: Problems
) -> dict[str, list[int]]:
    splits: dict[str, list[int]] = {}
    for path in lists:
        split = split_name(path.stem)
        if split in splits:
            raise DatasetError(f"{path}: a second list for split '{split}'; keep one of them")
        splits[split] = _read_list(path, base, rows, problems)
    return splits


def _read_list(path: Path, base: Path, rows: _Rows, problems: Problems) -> list[int]:
    chosen = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        name = line.strip()
        xml = base / f"{name}.xml"
        if name and xml not in rows:
            what = f"no annotation '{name}.xml'"
            problems.add("missing-annotation", f"{path}, line {number}", what)
        elif name:
            row = rows[xml]
            if row is not None:
                chosen.append(row)
    return chosen


VOC = Layout(
    name="voc",
    title="Pascal VOC",
    files="Annotations/*.xml, annotations/*.xml or *.xml",
    suffixes=(),
    detect=detect_voc,
    read=read_voc,
    write=write_voc,
    file_per_image=True,
    labels="optional",
)
