"""The container of TFRecord files: records one behind the other, each with two checksums.

Source: tensorflow/core/lib/io/record_writer.h: uint64 length, uint32 masked CRC-32C of the length,
the data, uint32 masked CRC-32C of the data, all little-endian. The mask makes a checksum of data
that contain checksums meaningful: it is rotated by 15 bits and a constant is added.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from edge_retina.datasets.crc32c import crc32c
from edge_retina.errors import DatasetError

_HEAD, _FOOT = struct.Struct("<QI"), struct.Struct("<I")
_GZIP = b"\x1f\x8b"
_ZLIB = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
_MASK_DELTA = 0xA282EAD8
# Pages of the file that may stay mapped: they count as memory of the process though they are not.
_MAPPED = 1 << 25


class Record(NamedTuple):
    """Where a record's data are.

    Attributes:
        number: of the record in its file, from 1 on.
        start: first byte of the data in the file.
        stop: the byte behind the last one; the checksum stands there.
    """

    number: int
    start: int
    stop: int

    @property
    def offset(self) -> int:
        """The byte at which the record begins, with its length."""
        return self.start - _HEAD.size


@contextmanager
def mapped_file(path: Path) -> Iterator[mmap.mmap | bytes]:
    """Map a file into memory; only what is looked at is read. An empty file has no records.

    The file must not be cut while it is mapped, or the system ends the process.

    Raises:
        DatasetError: it can't be read.
    """
    buffer = _map(path)
    try:
        yield buffer
    finally:
        if isinstance(buffer, mmap.mmap):
            buffer.close()


def find_records(buffer: mmap.mmap | bytes, path: Path) -> Iterator[Record]:
    """Yield the records of a mapped file. Their lengths are checked, their data are not looked at.

    Args:
        buffer: the whole file.
        path: of the file, for messages.

    Raises:
        DatasetError: it is no TFRecord file, is compressed, damaged or cut off.
    """
    at, number, size, kept_from = 0, 0, len(buffer), 0
    while at < size:
        number += 1
        where = f"{path}, record {number} at byte {at}"
        if size - at < _HEAD.size:
            raise _no_tfrecord(buffer, path) if at == 0 else _cut_off(where, size)
        length, checksum = _HEAD.unpack_from(buffer, at)
        if masked_crc32c(buffer[at : at + 8]) != checksum:
            if at == 0:
                raise _no_tfrecord(buffer, path)
            raise DatasetError(
                f"{where}: its length doesn't fit its checksum, so the file is damaged from here "
                "on; copy or write it again"
            )
        start = at + _HEAD.size
        if length > size - start - _FOOT.size:
            raise _cut_off(where, size)
        yield Record(number, start, start + length)
        at = start + length + _FOOT.size
        if at - kept_from > _MAPPED and isinstance(buffer, mmap.mmap):
            _forget(buffer)
            kept_from = at


def data_fit(buffer: mmap.mmap | bytes, record: Record) -> bool:
    """Whether a record's data fit their checksum; reads all of them."""
    return stored_checksum(buffer, record) == masked_crc32c(buffer[record.start : record.stop])


def stored_checksum(buffer: mmap.mmap | bytes, record: Record) -> int:
    """Return the checksum of a record's data as the file states it."""
    (checksum,) = _FOOT.unpack_from(buffer, record.stop)
    return int(checksum)


def compressed(path: Path) -> DatasetError:
    """Return the error of a file in which no place can be read without all before it."""
    return DatasetError(
        f"{path}: is compressed with gzip, so no picture can be read by its place; unpack it "
        "first, as with `gzip -d`"
    )


def write_record(stream: BinaryIO, data: bytes) -> int:
    """Append a record to a file and return how many bytes it takes."""
    head = struct.pack("<Q", len(data))
    stream.write(_HEAD.pack(len(data), masked_crc32c(head)))
    stream.write(data)
    stream.write(_FOOT.pack(masked_crc32c(data)))
    return _HEAD.size + len(data) + _FOOT.size


def masked_crc32c(data: bytes) -> int:
    """Return the checksum of `data` as TFRecord files store it."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF


def _map(path: Path) -> mmap.mmap | bytes:
    try:
        with open(path, "rb") as stream:
            if not stream.seek(0, 2):
                return b""
            buffer = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, OverflowError) as error:  # OverflowError: larger than what can be addressed
        reason = getattr(error, "strerror", None) or error
        raise DatasetError(f"{path}: can't be read ({reason})") from None
    if hasattr(mmap, "MADV_RANDOM"):
        buffer.madvise(mmap.MADV_RANDOM)  # pictures are skipped: don't read ahead
    return buffer


def _forget(buffer: mmap.mmap) -> None:
    if hasattr(mmap, "MADV_DONTNEED"):
        buffer.madvise(mmap.MADV_DONTNEED)


def _cut_off(where: str, size: int) -> DatasetError:
    return DatasetError(
        f"{where}: the file ends within it, after {size} bytes; copy or write the file again"
    )


def _no_tfrecord(buffer: mmap.mmap | bytes, path: Path) -> DatasetError:
    start = bytes(buffer[:2])
    if start == _GZIP:
        return compressed(path)
    if start in _ZLIB:
        return DatasetError(f"{path}: is compressed with zlib; write it without compression")
    return DatasetError(
        f"{path}, record 1 at byte 0: not a TFRecord file (its first length doesn't fit its "
        "checksum), or damaged; copy or write it again"
    )
