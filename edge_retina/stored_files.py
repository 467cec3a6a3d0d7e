"""Files that lie inside other files, such as pictures in a TFRecord shard, read like any file.

The path of such a file is `SHARD/OFFSET+LENGTH/NAME`, for example
`data/train-00003-of-00016.tfrecord/103456+23450/img/000123.jpg`: LENGTH bytes of the shard from
byte OFFSET on, which are called NAME. It is a `Path` like any other, with a name and a suffix, and
only opening it differs. Whoever opens a file of a data set does so with the functions below.

Source: the idea is GDAL's /vsisubfile/OFFSET_LENGTH,FILE.
"""

from __future__ import annotations

import errno
import io
import os
import re
from pathlib import Path
from typing import BinaryIO, NamedTuple

# Suffixes of files that hold others; an index and a count of shards may stand behind them. A
# directory of this name that holds one called like `12+34` is the one thing this mistakes.
SHARD_SUFFIX = r"\.(?:tfrecords?|record)(?:-\d+-of-\d+)?"
# The first match counts: what NAME looks like is up to whoever made the shard.
_STORED = re.compile(
    rf"(.+?{SHARD_SUFFIX})/(\d{{1,19}})\+(\d{{1,19}})/(.+)", re.IGNORECASE | re.DOTALL
)
_BUFFER = 4096  # bytes; headers of pictures are short, and nothing behind them should be read


class _Place(NamedTuple):
    """Where a stored file is: in which file, from which byte on, and how many bytes long."""

    file: str
    offset: int
    length: int


def stored_path(file: Path | str, offset: int, length: int, name: str) -> Path:
    """Return the path of the `length` bytes of `file` from `offset` on, which are called `name`."""
    return Path(f"{file}/{offset}+{length}/{name}")


def containing_file(path: Path | str) -> str:
    """Return the file on disk that a path's bytes are in: the path itself unless it is stored."""
    place = _place_of(path)
    return str(path) if place is None else place.file


def file_size(path: Path | str) -> int:
    """Return the size of an ordinary or stored file in bytes.

    Raises:
        OSError: there is no such file.
    """
    place = _place_of(path)
    return os.stat(path).st_size if place is None else place.length


def read_bytes(path: Path | str) -> bytes:
    """Return the content of an ordinary or stored file.

    Raises:
        OSError: it can't be read, or the file it is stored in ends before it does.
    """
    place = _place_of(path)
    if place is None:
        return Path(path).read_bytes()
    # The shard is opened anew for each read: that takes 2 microseconds, half of what a small file
    # takes, and can't give the bytes of a shard that has been replaced since.
    descriptor = _open(place)
    try:
        return _read(descriptor, place.length, place.offset)
    finally:
        os.close(descriptor)


def open_binary(path: Path | str) -> BinaryIO:
    """Open an ordinary or stored file for reading; the stream can seek.

    Raises:
        OSError: see `read_bytes`.
    """
    place = _place_of(path)
    if place is None:
        return open(path, "rb")
    return io.BufferedReader(_StoredFile(place), _BUFFER)


def _place_of(path: Path | str) -> _Place | None:
    text = str(path)
    found = _STORED.fullmatch(text) if "+" in text else None  # most paths have none
    return _Place(found[1], int(found[2]), int(found[3])) if found else None


def _open(place: _Place) -> int:
    """Return a descriptor of the file that holds all of `place`.

    The length is held against the size of the file before anything of that length is allocated.
    """
    descriptor = os.open(place.file, os.O_RDONLY | os.O_CLOEXEC)
    size = os.fstat(descriptor).st_size
    if place.offset + place.length > size:
        os.close(descriptor)
        raise OSError(
            errno.EINVAL,
            f"its shard has only {size} bytes; it was cut or replaced, so read the data set again",
        )
    return descriptor


def _read(descriptor: int, count: int, offset: int) -> bytes:
    """Read so many bytes; one call may return fewer, above all of more than 2 GB."""
    pieces = []
    while count > 0:
        piece = os.pread(descriptor, count, offset)
        if not piece:
            raise OSError(errno.EINVAL, "its shard was cut while it was read")
        pieces.append(piece)
        count, offset = count - len(piece), offset + len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


class _StoredFile(io.RawIOBase):
    """A part of a file as a stream of its own."""

    def __init__(self, place: _Place) -> None:
        super().__init__()
        self._descriptor = -1
        self._descriptor = _open(place)
        self._place = place
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._place.length}[whence]
        if base + offset < 0:
            raise OSError(errno.EINVAL, "seek to before the start")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # as its callers do
        count = min(len(buffer), max(0, self._place.length - self._at))
        data = _read(self._descriptor, count, self._place.offset + self._at)
        buffer[:count] = data
        self._at += count
        return count

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        super().close()
