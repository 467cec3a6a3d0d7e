"""Many texts in few bytes: file names and places, of which a data set may have millions."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import numpy as np

# Neighbours share a directory, or "FILE, image ". More heads than these are not looked for: parts
# of a TFRecord have one each.
_MOST_HEADS = 1000


class TextColumn(Sequence[str]):
    """Texts that can't be changed; a text takes its own bytes and some six more.

    What many of them begin with, up to the last slash or space, is kept once.
    """

    __slots__ = ("_ends", "_head", "_heads", "_tails")

    def __init__(
        self, heads: tuple[str, ...], head: np.ndarray, tails: bytes, ends: np.ndarray
    ) -> None:
        """Take the parts, as a `TextColumnBuilder` makes them.

        Args:
            heads: beginnings.
            head: (N,) index of each text's beginning.
            tails: what follows, of all texts together, as UTF-8.
            ends: (N,) where each text's part of `tails` ends.
        """
        self._heads, self._head, self._tails, self._ends = heads, head, tails, ends

    @classmethod
    def of(cls, texts: Iterable[str]) -> TextColumn:
        """Return a column of some texts."""
        builder = TextColumnBuilder()
        for text in texts:
            builder.append(text)
        return builder.finish()

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...

    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return [self[place] for place in range(len(self))[index]]
        place = range(len(self))[index]
        start = int(self._ends[place - 1]) if place else 0
        tail = self._tails[start : int(self._ends[place])]
        return self._heads[self._head[place]] + tail.decode("utf-8", "surrogatepass")

    def __iter__(self) -> Iterator[str]:
        return self.take(range(len(self)))

    def take(self, places: Iterable[int]) -> Iterator[str]:
        """Yield the texts at some places, which are not negative."""
        for place in places:
            yield self[place]

    def __getstate__(self) -> tuple[object, ...]:
        return self._heads, self._head, self._tails, self._ends

    def __setstate__(self, state: tuple[tuple[str, ...], np.ndarray, bytes, np.ndarray]) -> None:
        self._heads, self._head, self._tails, self._ends = state


class TextColumnBuilder:
    """Takes texts one by one, and makes a column of them."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {"": 0}  # of heads
        self._head = array("H")
        self._tails = bytearray()
        self._ends = array("q")

    def __len__(self) -> int:
        return len(self._ends)

    def append(self, text: str) -> None:
        """Add a text."""
        cut = max(text.rfind("/"), text.rfind(" ")) + 1
        number = self._numbers.get(text[:cut])
        if number is None and len(self._numbers) < _MOST_HEADS:
            number = self._numbers[text[:cut]] = len(self._numbers)
        if number is None:
            number, cut = 0, 0
        self._head.append(number)
        # A name from the disk may hold bytes that are no text: Python makes surrogates of them.
        self._tails += text[cut:].encode("utf-8", "surrogatepass")
        self._ends.append(len(self._tails))

    def finish(self) -> TextColumn:
        """Return the column; the builder is of no more use."""
        smallest = np.uint32 if len(self._tails) < 2**32 else np.int64
        return TextColumn(
            tuple(self._numbers),
            np.array(self._head, np.uint16),
            bytes(self._tails),
            np.array(self._ends, smallest),
        )


def hashes_of(names: Iterable[str], count: int) -> np.ndarray:
    """Return the hash of each name, (N,) int64: where two differ, the names do."""
    return np.fromiter(map(hash, names), np.int64, count)
