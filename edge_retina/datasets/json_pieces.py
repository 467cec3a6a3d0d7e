"""A large JSON file read in pieces: never more of it is in memory than a few elements."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

_READ = 1 << 20  # bytes at a time
_SPACE = re.compile(r"[ \t\n\r]*")
_COMMA = re.compile(r"[ \t\n\r]*,[ \t\n\r]*")
# json's errors are ValueErrors, numbers of 5,000 digits and bytes that aren't UTF-8 too
_UNREADABLE = (ValueError, RecursionError, OSError)

Take = Callable[[Any], None]


class NotInPieces(Exception):  # noqa: N818  what it says, not that it is an error
    """The file can't be read in pieces; json.loads will say why, or read it all the same."""


def read_pieces(
    path: Path,
    take: Mapping[str, Take],
    *,
    object_hook: Callable[[dict[str, Any]], Any] | None = None,
) -> dict[str, bool]:
    """Go through the object that a JSON file holds, and through the lists that are asked for.

    Args:
        path: the file.
        take: by key of the object, what gets the elements of its list, one after the other.
            Nothing is known of what follows: it may be malformed.
        object_hook: as of `json.loads`.

    Returns:
        By key of `take` that occurs, whether its value is a list.

    Raises:
        NotInPieces: the file is no JSON, holds no object, or has one of the keys twice.
    """
    try:
        with open(path, "rb") as stream:
            return _Pieces(stream, object_hook).read(take)
    except _UNREADABLE as error:
        raise NotInPieces(str(error)) from None


class _Pieces:
    def __init__(
        self, stream: BinaryIO, object_hook: Callable[[dict[str, Any]], Any] | None
    ) -> None:
        self._stream = stream
        self._decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        self._parse = json.JSONDecoder(object_hook=object_hook).raw_decode
        self._text, self._at, self._is_all = "", 0, False
        self._step = _READ

    def read(self, take: Mapping[str, Take]) -> dict[str, bool]:
        lists: dict[str, bool] = {}
        known: set[str] = set()
        self._expect("{")
        more = self._peek() != "}"
        if not more:
            self._at += 1
        while more:
            key = self._element()
            if not isinstance(key, str) or key in known:
                raise NotInPieces("a key that is no text, or stands there twice")
            known.add(key)
            self._expect(":")
            is_list = self._peek() == "["
            if key in take:
                lists[key] = is_list
            if is_list:
                self._read_list(take.get(key, _drop))
            else:
                self._element()
            more = self._goes_on("}")
        if self._peek():
            raise NotInPieces("something follows the object")
        return lists

    def _read_list(self, take: Take) -> None:
        self._expect("[")
        if self._peek() == "]":
            self._at += 1
            return
        more = True
        while more:
            self._take_known(take)
            take(self._element())
            more = self._goes_on("]")

    def _take_known(self, take: Take) -> None:
        """Take the elements that need no more reading: nearly all, so this is short."""
        self._peek()
        text, at, parse, comma = self._text, self._at, self._parse, _COMMA.match
        while True:
            try:
                value, end = parse(text, at)
            except ValueError:
                break
            found = comma(text, end)
            if found is None or found.end() == len(text):
                break
            take(value)
            at = found.end()
        self._at = at

    def _element(self) -> Any:
        """Return the value that begins here, and go behind it."""
        self._peek()
        while True:
            try:
                value, end = self._parse(self._text, self._at)
            except ValueError:
                if self._is_all:
                    raise
            else:
                # A number that ends with the text may go on
                if end < len(self._text) or self._is_all:
                    self._at = end
                    return value
            self._read_on()

    def _goes_on(self, last: str) -> bool:
        """Go behind a comma, or behind what closes a list or an object."""
        found = self._peek()
        if found not in (",", last):
            raise NotInPieces(f"no comma and no {last}")
        self._at += 1
        return found == ","

    def _expect(self, sign: str) -> None:
        if self._peek() != sign:
            raise NotInPieces(f"no {sign}")
        self._at += 1

    def _peek(self) -> str:
        """Return the next character that is no white space; "" at the end."""
        while True:
            found = _SPACE.match(self._text, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._text) or self._is_all:
                return self._text[self._at : self._at + 1]
            self._read_on()

    def _read_on(self) -> None:
        """Forget what is behind, and read on: twice as much if the last piece wasn't enough."""
        self._step = _READ if self._at else 2 * self._step
        data = self._stream.read(self._step)
        self._is_all = not data
        self._text = self._text[self._at :] + self._decode(data, self._is_all)
        self._at = 0


def _drop(_: Any) -> None:
    """Take an element that nobody wants."""
