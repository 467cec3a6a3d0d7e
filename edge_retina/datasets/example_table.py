"""The examples of a split in columns: a data set may have millions of them."""

from __future__ import annotations

import functools
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np

from edge_retina.datasets.columns import as_array, parts_of
from edge_retina.datasets.schema import Example
from edge_retina.datasets.text_column import TextColumn, TextColumnBuilder, hashes_of


@dataclass(frozen=True, eq=False)
class ExampleColumns:
    """N examples with M objects; the attributes of `Example`, one array each.

    Attributes:
        image_ids: N names.
        paths: N files.
        image_hw: (N, 2) int32.
        borders: (N + 1,) int64; example n has the objects borders[n] .. borders[n + 1].
        boxes_px: (M, 4) float32.
        classes: (M,) int32.
        crowd: (M,) bool.
        difficult: (M,) bool.
    """

    image_ids: TextColumn
    paths: TextColumn
    image_hw: np.ndarray
    borders: np.ndarray
    boxes_px: np.ndarray
    classes: np.ndarray
    crowd: np.ndarray
    difficult: np.ndarray

    def __len__(self) -> int:
        return len(self.image_hw)

    def example(self, row: int) -> Example:
        """Return an example; its arrays are parts of the columns and read-only."""
        part = slice(int(self.borders[row]), int(self.borders[row + 1]))
        height, width = self.image_hw[row].tolist()
        return Example(
            self.image_ids[row],
            Path(self.paths[row]),
            (height, width),
            self.boxes_px[part],
            self.classes[part],
            self.crowd[part],
            self.difficult[part],
        )


class ExampleTable(Sequence[Example]):
    """Examples that can't be changed; each is made of the columns when it is asked for.

    An example with ten objects takes some 260 bytes. A part (a slice, or another split of the same
    data set) shares the columns with the whole.
    """

    def __init__(self, columns: ExampleColumns, rows: np.ndarray | None = None) -> None:
        """Take columns.

        Args:
            columns: of these examples, and perhaps of others.
            rows: (N,) which they are, in their order; None for all.
        """
        self.columns = columns
        self.rows = np.arange(len(columns), dtype=np.int32) if rows is None else rows

    @classmethod
    def of(cls, examples: Sequence[Example]) -> ExampleTable:
        """Return a table of some examples; of a table, itself."""
        if isinstance(examples, ExampleTable):
            return examples
        builder = ExampleTableBuilder()
        for example in examples:
            builder.append(example)
        return cls(builder.finish())

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> Example: ...

    @overload
    def __getitem__(self, index: slice) -> ExampleTable: ...

    def __getitem__(self, index: int | slice) -> Example | ExampleTable:
        if isinstance(index, slice):
            return self.take(self.rows[index])
        return self.columns.example(int(self.rows[index]))

    def __iter__(self) -> Iterator[Example]:
        return map(self.columns.example, _numbers(self.rows))

    def __add__(self, other: Sequence[Example]) -> tuple[Example, ...]:
        if not isinstance(other, (ExampleTable, tuple, list)):
            return NotImplemented
        return (*self, *other)

    def __radd__(self, other: Sequence[Example]) -> tuple[Example, ...]:
        if not isinstance(other, (tuple, list)):
            return NotImplemented
        return (*other, *self)

    def __mul__(self, count: int) -> ExampleTable:
        return self.take(np.tile(self.rows, count))

    __rmul__ = __mul__

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (ExampleTable, tuple, list)):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # as a tuple of examples had none

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self)} examples>"

    def __reduce__(self) -> tuple[Any, ...]:
        if len(self.rows) == len(self.columns):
            return ExampleTable, (self.columns, self.rows)
        builder = ExampleTableBuilder()  # a process that gets a part has no use for the rest
        for example in self:
            builder.append(example)
        return ExampleTable, (builder.finish(),)

    def take(self, rows: np.ndarray) -> ExampleTable:
        """Return the examples at some rows of the columns, which are shared."""
        return ExampleTable(self.columns, np.asarray(rows, np.int32))

    def image_ids(self) -> Iterator[str]:
        """Yield the names of the images."""
        return self.columns.image_ids.take(_numbers(self.rows))

    def path(self, place: int) -> str:
        """Return the file of an example as text."""
        return self.columns.paths[int(self.rows[place])]

    @property
    def image_hw(self) -> np.ndarray:
        """(N, 2) int32 heights and widths in pixels."""
        return np.asarray(self.columns.image_hw[self.rows])

    @property
    def counts(self) -> np.ndarray:
        """(N,) how many objects each example has."""
        return np.asarray(np.diff(self.columns.borders)[self.rows])

    @property
    def owners(self) -> np.ndarray:
        """(M,) int32, the place of each object's example."""
        return np.repeat(np.arange(len(self), dtype=np.int32), self.counts)

    @property
    def boxes_px(self) -> np.ndarray:
        """(M, 4) float32; the boxes of all objects, example by example."""
        return np.asarray(self.columns.boxes_px[self._objects])

    @property
    def classes(self) -> np.ndarray:
        """(M,) int32."""
        return np.asarray(self.columns.classes[self._objects])

    @property
    def crowd(self) -> np.ndarray:
        """(M,) bool."""
        return np.asarray(self.columns.crowd[self._objects])

    @property
    def ignored(self) -> np.ndarray:
        """(M,) bool."""
        return self.crowd | self.columns.difficult[self._objects]

    @functools.cached_property
    def _objects(self) -> np.ndarray | slice:
        """Where the objects stand in the columns; nothing is copied if they stand together."""
        if not len(self.rows):
            return slice(0, 0)
        first, last = int(self.rows[0]), int(self.rows[-1])
        if last - first + 1 == len(self.rows) and (np.diff(self.rows) == 1).all():
            return slice(int(self.columns.borders[first]), int(self.columns.borders[last + 1]))
        return parts_of(self.columns.borders, self.rows)


def pick(examples: Sequence[Example], places: Sequence[int] | np.ndarray) -> Sequence[Example]:
    """Return the examples at some places; of a table, a table."""
    if isinstance(examples, ExampleTable):
        return examples.take(examples.rows[np.asarray(places, np.int64)])
    return tuple(examples[place] for place in places)


def each_once(splits: Iterable[Sequence[Example]]) -> Sequence[Example]:
    """Return the examples of some splits, each image once, where it comes first.

    If splits have different examples of one image, the last one counts.
    """
    splits = tuple(splits)
    tables = [split for split in splits if isinstance(split, ExampleTable)]
    if len(tables) < len(splits) or len({id(table.columns) for table in tables}) != 1:
        return tuple({item.image_id: item for split in splits for item in split}.values())
    rows = np.concatenate([table.rows for table in tables])
    _, first = np.unique(rows, return_index=True)
    once = tables[0].take(rows[np.sort(first)])
    if len(np.unique(hashes_of(once.image_ids(), len(once)))) == len(once):
        return once
    last = dict(zip(tables[0].take(rows).image_ids(), rows.tolist(), strict=True))
    return tables[0].take(np.array(list(last.values())))


class ExampleTableBuilder:
    """Takes examples one after the other, and makes columns of them."""

    def __init__(self) -> None:
        self._image_ids, self._paths = TextColumnBuilder(), TextColumnBuilder()
        self._image_hw, self._counts = array("i"), array("q")
        # Arrays of Python grow in place; joining arrays of NumPy would take the memory twice.
        self._boxes_px, self._classes = array("f"), array("i")
        self._crowd, self._difficult = bytearray(), bytearray()

    def __len__(self) -> int:
        return len(self._counts)

    def append(self, example: Example) -> None:
        """Add an example."""
        self.extend(
            [example.image_id],
            [str(example.path)],
            np.array([example.image_hw]),
            np.array([len(example.classes)]),
            boxes_px=example.boxes_px,
            classes=example.classes,
            crowd=example.crowd,
            difficult=example.difficult,
        )

    def extend(
        self,
        image_ids: Iterable[str],
        paths: Iterable[str],
        image_hw: np.ndarray,
        counts: np.ndarray,
        *,
        boxes_px: np.ndarray,
        classes: np.ndarray,
        crowd: np.ndarray,
        difficult: np.ndarray,
    ) -> None:
        """Add N examples with M objects.

        Args:
            image_ids: N names.
            paths: N files.
            image_hw: (N, 2).
            counts: (N,) how many objects each has.
            boxes_px: (M, 4).
            classes: (M,).
            crowd: (M,) bool.
            difficult: (M,) bool.
        """
        for image_id, path in zip(image_ids, paths, strict=True):
            self._image_ids.append(image_id)
            self._paths.append(path)
        self._image_hw.frombytes(np.asarray(image_hw, np.int32).tobytes())
        self._counts.frombytes(np.asarray(counts, np.int64).tobytes())
        self._boxes_px.frombytes(np.asarray(boxes_px, np.float32).tobytes())
        self._classes.frombytes(np.asarray(classes, np.int32).tobytes())
        self._crowd += np.asarray(crowd, bool).tobytes()
        self._difficult += np.asarray(difficult, bool).tobytes()

    def finish(self) -> ExampleColumns:
        """Return the columns; the builder is of no more use."""
        counts = as_array(self._counts, np.int64)
        return ExampleColumns(
            image_ids=self._image_ids.finish(),
            paths=self._paths.finish(),
            image_hw=as_array(self._image_hw, np.int32).reshape(-1, 2),
            borders=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            boxes_px=as_array(self._boxes_px, np.float32).reshape(-1, 4),
            classes=as_array(self._classes, np.int32),
            crowd=as_array(self._crowd, bool),
            difficult=as_array(self._difficult, bool),
        )


def _numbers(rows: np.ndarray) -> Iterator[int]:
    """Yield the numbers of an array, without a list of all of them."""
    for start in range(0, len(rows), 1024):
        yield from rows[start : start + 1024].tolist()
