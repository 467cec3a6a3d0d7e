"""What a reader found in annotation files, in columns: there may be millions of objects."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np

from edge_retina.datasets.annotation import ImageAnnotation, ObjectAnnotation
from edge_retina.datasets.columns import as_array, parts_of
from edge_retina.datasets.text_column import TextColumn, TextColumnBuilder

_NO_SIZE = (-1, -1)
_BLOCK = 1 << 16  # objects that are copied at a time


class ObjectNames:
    """How objects are called: nearly always by one word and a number, as "line 7"."""

    def __init__(self, word: str | None = None) -> None:
        self.word = word  # that of the first name, if it isn't given
        self.numbers = array("q")
        self.others: dict[int, str] = {}  # by object

    def append(self, name: str) -> None:
        """Add the name of the next object."""
        word, _, digits = name.rpartition(" ")
        number = int(digits) if digits.isdecimal() and len(digits) < 19 else -1
        self.word = word if self.word is None else self.word
        if number < 0 or word != self.word or str(number) != digits:
            self.others[len(self.numbers)] = name
        self.numbers.append(number)

    def name(self, index: int) -> str:
        """Return the name of an object."""
        return self.others[index] if index in self.others else f"{self.word} {self.numbers[index]}"


class ObjectsRead:
    """Objects as a file states them, which may stand in any order, on their way into a table.

    Attributes:
        yxyx: four numbers for each.
        crowd: a byte for each.
        difficult: likewise.
        names: of the objects.
    """

    def __init__(self, word: str | None = None) -> None:
        self.yxyx, self.names = array("d"), ObjectNames(word)
        self.crowd, self.difficult = bytearray(), bytearray()

    def __len__(self) -> int:
        return len(self.crowd)

    def append(
        self,
        name: str | int,
        yxyx: tuple[float, ...],
        *,
        crowd: bool = False,
        difficult: bool = False,
    ) -> None:
        """Add an object; of its name the number will do, if the word is known."""
        if isinstance(name, str):
            self.names.append(name)
        else:
            self.names.numbers.append(name)
        self.yxyx.extend(yxyx)
        self.crowd.append(crowd)
        self.difficult.append(difficult)

    def move(self, others: ObjectsRead, rows: np.ndarray | None) -> None:
        """Add objects of another file, which are gone there afterwards.

        Args:
            others: where they are.
            rows: (K,) which of them, in this order; None for all as they stand.

        Raises:
            ValueError: they are called by another word than those that are here.
        """
        if rows is None and not len(self):
            self.__dict__, others.__dict__ = others.__dict__, self.__dict__
            return
        rows = np.arange(len(others)) if rows is None else rows
        if self.names.word is None:
            self.names.word = others.names.word
        if self.names.word != others.names.word:
            raise ValueError(f"objects called '{others.names.word} N' among others")
        first = len(self)
        # One column after the other, so that only one of them exists twice
        others.yxyx = _moved(self.yxyx, others.yxyx, rows, width=4)
        others.names.numbers = _moved(self.names.numbers, others.names.numbers, rows)
        for own, other in ((self.crowd, others.crowd), (self.difficult, others.difficult)):
            own += np.frombuffer(other, np.uint8)[rows].tobytes() if other else b""
        if others.names.others:
            for place in np.flatnonzero(np.isin(rows, list(others.names.others))).tolist():
                self.names.others[first + place] = others.names.others[int(rows[place])]


def _moved(own: array, other: array, rows: np.ndarray, *, width: int = 1) -> array:
    """Append `width` numbers for each row of `other` to `own`; return what takes its place."""
    numbers = np.frombuffer(other, other.typecode).reshape(-1, width) if other else np.zeros((0, 1))
    for start in range(0, len(rows), _BLOCK):
        own.frombytes(numbers[rows[start : start + _BLOCK]].tobytes())
    return array(other.typecode)


@dataclass(frozen=True, eq=False)
class AnnotationColumns:
    """N images with M objects: the attributes of `ImageAnnotation` and `ObjectAnnotation`.

    Attributes:
        image_ids, paths, sources: N texts.
        size_hw: (N, 2) int32, -1 where the file states none.
        normalized: (N,) bool.
        borders: (N + 1,) int64; image n has the objects borders[n] .. borders[n + 1].
        labels: class names.
        label: (M,) int32, index into `labels`.
        yxyx: (M, 4) float64, as in the file.
        crowd: (M,) bool.
        difficult: (M,) bool.
        names: of M objects.
    """

    image_ids: TextColumn
    paths: TextColumn
    sources: TextColumn
    size_hw: np.ndarray
    normalized: np.ndarray
    borders: np.ndarray
    labels: tuple[str, ...]
    label: np.ndarray
    yxyx: np.ndarray
    crowd: np.ndarray
    difficult: np.ndarray
    names: ObjectNames

    def __len__(self) -> int:
        return len(self.size_hw)

    def stated_hw(self, row: int) -> tuple[int, int] | None:
        """Return the (height, width) that the file states, or None."""
        height, width = self.size_hw[row].tolist()
        return None if (height, width) == _NO_SIZE else (height, width)

    def objects(self, rows: np.ndarray) -> np.ndarray:
        """Return which objects some images have, (K,), image by image."""
        return parts_of(self.borders, rows)

    def object(self, index: int) -> ObjectAnnotation:
        """Return an object."""
        ymin, xmin, ymax, xmax = self.yxyx[index].tolist()
        return ObjectAnnotation(
            self.names.name(index),
            self.labels[self.label[index]],
            (ymin, xmin, ymax, xmax),
            crowd=bool(self.crowd[index]),
            difficult=bool(self.difficult[index]),
        )

    def image(self, row: int) -> ImageAnnotation:
        """Return an image with its objects."""
        objects = range(int(self.borders[row]), int(self.borders[row + 1]))
        return ImageAnnotation(
            self.image_ids[row],
            Path(self.paths[row]),
            self.sources[row],
            tuple(self.object(index) for index in objects),
            self.stated_hw(row),
            bool(self.normalized[row]),
        )


class AnnotationTable(Sequence[ImageAnnotation]):
    """Annotations that can't be changed; each is made of the columns when it is asked for."""

    def __init__(self, columns: AnnotationColumns, rows: np.ndarray | None = None) -> None:
        """Take columns.

        Args:
            columns: of these images, and perhaps of others.
            rows: (N,) which they are, in their order; a row may stand there twice. None for all.
        """
        self.columns = columns
        self.rows = np.arange(len(columns), dtype=np.int32) if rows is None else rows

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> ImageAnnotation: ...

    @overload
    def __getitem__(self, index: slice) -> AnnotationTable: ...

    def __getitem__(self, index: int | slice) -> ImageAnnotation | AnnotationTable:
        if isinstance(index, slice):
            return AnnotationTable(self.columns, self.rows[index])
        return self.columns.image(int(self.rows[index]))

    def image_ids(self) -> Iterator[str]:
        """Yield the names of the images."""
        return self.columns.image_ids.take(self.rows.tolist())

    def counts(self) -> np.ndarray:
        """Return how many objects each image has, (N,)."""
        return np.diff(self.columns.borders)[self.rows]

    def used_labels(self) -> set[str]:
        """Return the class names that occur."""
        used = np.zeros(len(self.columns.labels), bool)
        whole = np.diff(self.columns.borders)
        listed = np.zeros(len(self.columns), bool)
        listed[self.rows] = True
        used[self.columns.label[np.repeat(listed, whole)]] = True
        return {self.columns.labels[index] for index in np.flatnonzero(used)}


class AnnotationTableBuilder:
    """Takes annotations one after the other, and makes columns of them."""

    def __init__(self) -> None:
        self._texts = TextColumnBuilder(), TextColumnBuilder(), TextColumnBuilder()
        self._size_hw, self._normalized, self._counts = array("i"), bytearray(), array("q")
        self._labels: dict[str, int] = {}
        self._label, self._objects = array("i"), ObjectsRead()

    def __len__(self) -> int:
        return len(self._counts)

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names so far, in the order of their numbers."""
        return tuple(self._labels)

    def append(self, image: ImageAnnotation) -> int:
        """Add an image with its objects; return its row."""
        self.append_image(
            image.image_id,
            str(image.path),
            image.source,
            size_hw=image.size_hw,
            normalized=image.normalized,
            objects=len(image.objects),
        )
        for item in image.objects:
            self._label.append(self.label_number(item.label))
            self._objects.append(item.name, item.yxyx, crowd=item.crowd, difficult=item.difficult)
        return len(self) - 1

    def append_image(
        self,
        image_id: str,
        path: str,
        source: str,
        *,
        size_hw: tuple[int, int] | None,
        normalized: bool,
        objects: int,
    ) -> None:
        """Add an image whose objects, so many, are added apart, in the order of the images."""
        for column, text in zip(self._texts, (image_id, path, source), strict=True):
            column.append(text)
        self._size_hw.extend(size_hw or _NO_SIZE)
        self._normalized.append(normalized)
        self._counts.append(objects)

    def label_number(self, label: str) -> int:
        """Return the number of a class name in the columns to come."""
        return self._labels.setdefault(label, len(self._labels))

    def move_objects(
        self, objects: ObjectsRead, label: np.ndarray, rows: np.ndarray | None
    ) -> None:
        """Add the objects of images that were added; they are gone where they were.

        Args:
            objects: M of them.
            label: (M,) int32, see `label_number`.
            rows: (K,) which of them, by image; None for all as they stand.
        """
        self._label.frombytes((label if rows is None else label[rows]).tobytes())
        self._objects.move(objects, rows)

    def tables(self, rows: Mapping[str, Sequence[int] | np.ndarray]) -> dict[str, AnnotationTable]:
        """Return the tables of splits, by the rows of each; the builder is of no more use."""
        columns = self.finish()
        return {
            name: AnnotationTable(columns, np.asarray(found, np.int32))
            for name, found in rows.items()
        }

    def finish(self) -> AnnotationColumns:
        """Return the columns; the builder is of no more use."""
        objects = self._objects
        image_ids, paths, sources = (column.finish() for column in self._texts)
        return AnnotationColumns(
            image_ids=image_ids,
            paths=paths,
            sources=sources,
            size_hw=as_array(self._size_hw, np.int32).reshape(-1, 2),
            normalized=as_array(self._normalized, bool),
            borders=np.concatenate([[0], np.cumsum(as_array(self._counts, np.int64))]),
            labels=tuple(self._labels),
            label=as_array(self._label, np.int32),
            yxyx=as_array(objects.yxyx, np.float64).reshape(-1, 4),
            crowd=as_array(objects.crowd, bool),
            difficult=as_array(objects.difficult, bool),
            names=objects.names,
        )


def packed_splits(splits: Mapping[str, Sequence[ImageAnnotation]]) -> dict[str, AnnotationTable]:
    """Return splits as tables of the same columns; an image that several of them list is kept once.

    Args:
        splits: by name, tables or lists. Lists share an image if it is the same object in both.
    """
    tables = {name: item for name, item in splits.items() if isinstance(item, AnnotationTable)}
    if len(tables) == len(splits) and len({id(item.columns) for item in tables.values()}) < 2:
        return tables
    builder = AnnotationTableBuilder()
    row: dict[tuple[int, int], int] = {}
    rows: dict[str, list[int]] = {name: [] for name in splits}
    for name, images in splits.items():
        for place, image in enumerate(images):
            table = tables.get(name)
            key = (id(image), -1) if table is None else (id(table.columns), int(table.rows[place]))
            if key not in row:
                row[key] = len(builder)
                builder.append(image)
            rows[name].append(row[key])
    columns = builder.finish()
    return {
        name: AnnotationTable(columns, np.array(found, np.int32)) for name, found in rows.items()
    }
