"""Reader of TFRecords as the TF Object Detection API, the Model Garden and Roboflow write them.

A record is a `tf.train.Example` of one picture: `image/encoded`, `image/filename`,
`image/object/bbox/xmin` and so on. Pictures stay where they are: an example's path names the bytes
of the shard (see `stored_files`). Only annotations are read, so a large data set is read in seconds
and in little memory.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_retina.datasets.annotation import UNSPLIT, AnnotatedSplits, ImageAnnotation
from edge_retina.datasets.annotation_table import AnnotationTableBuilder
from edge_retina.datasets.boundary import Boundary
from edge_retina.datasets.class_names import read_label_file
from edge_retina.datasets.label_map import LabelMap, read_label_map
from edge_retina.datasets.layout import AnnotationFiles, DatasetFile, Layout, root_of
from edge_retina.datasets.problems import Problems
from edge_retina.datasets.splits import SPLITS
from edge_retina.datasets.tf_example import Buffer, MalformedExample
from edge_retina.datasets.tfrecord_file import (
    Record,
    data_fit,
    find_records,
    mapped_file,
    stored_checksum,
)
from edge_retina.datasets.tfrecord_picture import Classes, PictureReader
from edge_retina.datasets.tfrecord_shards import (
    SUFFIXES,
    Shard,
    find_shards,
    missing_shards,
    series_of,
    split_names,
)
from edge_retina.datasets.tfrecord_writer import write_tfrecord
from edge_retina.errors import DatasetError


def detect_tfrecord(given: Path) -> AnnotationFiles | None:
    """Return the shards of a directory and of those in it, or the series of a shard.

    Raises:
        DatasetError: a shard leads out of the data set, or is compressed.
    """
    if given.is_file():
        root = root_of(given)
        shards = series_of(given, Boundary(root))
    else:
        root, shards = given, find_shards(given, Boundary(given))
    return AnnotationFiles(root, {shard.path: shard for shard in shards}) if shards else None


def read_tfrecord(found: AnnotationFiles, problems: Problems) -> AnnotatedSplits:
    """Read shards of Examples.

    Splits are named by the shards or their directories; where no split has a usual name (train,
    val, test) all pictures are one set without splits. Class names are those of `labels.txt`, else
    of a label map (`label_map.pbtxt` or `*_label_map.pbtxt`), else all that occur, sorted.

    Lengths of records are always checked, contents only if `found.thorough`, for that reads all of
    the files.

    Args:
        found: the shards. In `dataset.toml`, `annotations` is a shard or a directory of them, and a
            shard of a numbered series stands for all of it.
        problems: collects what was left out.

    Raises:
        DatasetError: a file is no TFRecord file, damaged or cut off, or nothing tells the classes.
    """
    boundary = Boundary(found.root)
    splits = _shards_by_split(found, boundary)
    shards = [shard for members in splits.values() for shard in members]
    for path, what in missing_shards(shards):
        problems.add("missing-annotation", str(path), what)
    classes = _read_classes(found, shards, boundary)
    reader = _Reader(classes, found, problems)
    rows = {name: reader.read_split(name, members) for name, members in splits.items()}
    own_splits = found.described is not None and bool(found.described.splits)
    if not own_splits and not any(name in SPLITS for name in rows):
        rows = {UNSPLIT: _merged(rows.values())}
    labels = classes.labels or tuple(sorted(reader.pictures.used))
    return AnnotatedSplits(labels, reader.table.tables(rows))


def _shards_by_split(found: AnnotationFiles, boundary: Boundary) -> dict[str, list[Shard]]:
    described = found.described
    if described is not None and described.splits:
        return {name: series_of(path, boundary) for name, path in described.splits.items()}
    shards = list(found.files.values()) if described is None else _described(described, boundary)
    splits: dict[str, list[Shard]] = {}
    for shard, name in zip(shards, split_names(shards, found.root), strict=True):
        splits.setdefault(name, []).append(shard)
    return splits


def _described(described: DatasetFile, boundary: Boundary) -> list[Shard]:
    place = described.annotations or described.root
    if place.is_file():
        return series_of(place, boundary)
    shards = find_shards(place, boundary)
    if not shards:
        names = " or ".join(f"*{suffix}" for suffix in SUFFIXES)
        raise DatasetError(f"{described.path}, annotations: no {names} in {place}")
    return shards


def _merged(splits: Iterable[list[int]]) -> list[int]:
    """Return the pictures of all splits by their rows, those of overlapping splits once."""
    merged: list[int] = []
    seen: set[int] = set()
    for rows in splits:
        merged += [row for row in rows if row not in seen]
        seen.update(rows)
    return merged


def _read_classes(found: AnnotationFiles, shards: Sequence[Shard], boundary: Boundary) -> Classes:
    labels = found.described.labels if found.described is not None else ()
    directories = list(dict.fromkeys([found.root, *(shard.path.parent for shard in shards)]))
    for directory in directories:
        labels = labels or read_label_file(directory, boundary=boundary)
    if labels:
        return Classes(labels, dict(enumerate(labels, 1)))
    label_map = _find_label_map(directories, boundary)
    if label_map is None:
        return Classes()
    by_number = dict(zip(label_map.numbers, label_map.labels, strict=True))
    return Classes(label_map.labels, by_number, label_map.aliases)


def _find_label_map(directories: Iterable[Path], boundary: Boundary) -> LabelMap | None:
    """Return the label map of these directories; Roboflow puts the same one beside each split.

    Raises:
        DatasetError: two of them differ.
    """
    first: tuple[Path, LabelMap] | None = None
    for directory in directories:
        for path in sorted(directory.glob("*label_map*.pbtxt")):
            label_map = read_label_map(path, boundary=boundary)
            if first is None:
                first = path, label_map
            elif first[1] != label_map:
                raise DatasetError(
                    f"{path}: its classes differ from those of {first[0]}; delete the wrong one"
                )
    return None if first is None else first[1]


@dataclass(frozen=True, slots=True)
class _Seen:
    """The first picture of a name: its split, length and checksum of its record, and its row."""

    split: str
    content: tuple[int, int]
    row: int


class _Reader:
    """Reads the pictures of all splits, and tells apart those of one name.

    Attributes:
        pictures: turns a record into an annotation.
        table: takes the annotations.
    """

    def __init__(self, classes: Classes, found: AnnotationFiles, problems: Problems) -> None:
        self.table = AnnotationTableBuilder()
        self.pictures = PictureReader(classes, problems, root=found.root)
        self._thorough = found.thorough
        self._problems = problems
        self._seen: dict[str, _Seen] = {}  # by image id

    def read_split(self, split: str, shards: Sequence[Shard]) -> list[int]:
        """Return the rows of a split's pictures, in the order of its shards."""
        rows: list[int] = []
        for shard in shards:
            with mapped_file(shard.path) as buffer:
                for record in find_records(buffer, shard.path):
                    image = self._read_record(buffer, record, shard.path, number=len(rows) + 1)
                    if image is not None:
                        content = record.stop - record.start, stored_checksum(buffer, record)
                        rows.append(self._told_apart(image, content, split))
        return rows

    def _read_record(
        self, buffer: Buffer, record: Record, shard: Path, *, number: int
    ) -> ImageAnnotation | None:
        where = f"{shard}, record {record.number} at byte {record.offset}"
        try:
            if self._thorough and not data_fit(buffer, record):
                raise MalformedExample("its data don't fit their checksum; write the file again")
            return self.pictures.read(buffer, record, shard=shard, where=where, number=number)
        except MalformedExample as error:
            self._problems.add("malformed-annotation", where, str(error))
            return None

    def _told_apart(self, image: ImageAnnotation, content: tuple[int, int], split: str) -> int:
        """Return the row of the first of equal pictures in several splits; others are renamed.

        Splits may overlap, and then a picture is in the shards of each. But two pictures of one
        name may also be different ones, and their ids must differ; within a split they are reported
        as repeated.
        """
        for name in (image.image_id, f"{split}/{image.image_id}"):
            renamed = dataclasses.replace(image, image_id=name)
            first = self._seen.get(name)
            if first is None:
                row = self.table.append(renamed)
                self._seen[name] = _Seen(split, content, row)
                return row
            if first.content == content:
                return first.row
            if first.split == split:
                break
        return self.table.append(renamed)


TFRECORD = Layout(
    name="tfrecord",
    title="TFRecord",
    files="*.tfrecord or *.record, also numbered ones",
    suffixes=SUFFIXES,
    detect=detect_tfrecord,
    read=read_tfrecord,
    write=write_tfrecord,
    file_per_image=False,
    labels="optional",
)
