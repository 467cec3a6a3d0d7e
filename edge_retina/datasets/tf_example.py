"""The messages inside TFRecords, `tf.train.Example`, read and written without TensorFlow.

Source: tensorflow/core/example/{example,feature}.proto, and the protocol buffers' encoding guide:

    Example     { Features features = 1; }
    Features    { map<string, Feature> feature = 1; }    a map's entry: { key = 1; value = 2; }
    Feature     { oneof { BytesList bytes_list = 1; FloatList float_list = 2;
                          Int64List int64_list = 3; } }
    BytesList   { repeated bytes value = 1; }            floats and int64 packed or not
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

Buffer = mmap.mmap | bytes
Span = tuple[int, int]  # first byte, and the byte behind the last

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 10  # bytes of a 64-bit number
_LONGEST_KEY = 200  # bytes; no feature that is used has a longer name
# Values of one list: more than any picture has objects, and few enough to be held.
_MOST_VALUES = 100_000


class MalformedExample(Exception):  # noqa: N818  what it says, not that it is an error
    """Bytes that are no Example; the text says why."""


@dataclass(frozen=True)
class Feature:
    """The values of a feature; those of other kinds than its own are empty.

    Attributes:
        spans: places of the byte strings in the buffer, which are not read.
        floats: numbers.
        ints: whole numbers, from -2**63 to 2**63 - 1.
    """

    spans: list[Span] = field(default_factory=list)
    floats: list[float] = field(default_factory=list)
    ints: list[int] = field(default_factory=list)


def parse_example(
    buffer: Buffer, start: int, stop: int, wanted: Collection[bytes]
) -> dict[bytes, Feature]:
    """Return the wanted features of an Example; others are skipped without being looked at.

    Args:
        buffer: what the Example lies in.
        start: its first byte.
        stop: the byte behind its last one.
        wanted: names of features.

    Raises:
        MalformedExample: the bytes are none.
    """
    found: dict[bytes, Feature] = {}
    for key, value in _entries(buffer, start, stop):
        if key in wanted:
            found[key] = _feature(buffer, value)  # of two with one name the last counts
    return found


def feature_names(buffer: Buffer, start: int, stop: int) -> list[str]:
    """Return the names of an Example's features, sorted.

    Raises:
        MalformedExample: the bytes are none.
    """
    keys = {key for key, _ in _entries(buffer, start, stop)}
    return sorted(key.decode("utf-8", "backslashreplace") for key in keys)


def encode_example(features: Mapping[str, bytes | Sequence[bytes | float | int]]) -> bytes:
    """Return an Example; the same features give the same bytes.

    Args:
        features: values by name: byte strings (or one alone), floats or ints. An empty list has no
            kind, which every parser takes for a list of any kind.
    """
    entries = b"".join(
        _field(1, _field(1, name.encode()) + _field(2, _encode_feature(values)))
        for name, values in sorted(features.items())
    )
    return _field(1, entries)


def _entries(buffer: Buffer, start: int, stop: int) -> Iterator[tuple[bytes, Span]]:
    """Yield name and place of each feature."""
    for features in _messages(buffer, (start, stop), 1):
        for entry in _messages(buffer, features, 1):
            key, value = b"", (0, 0)
            for number, kind, first, last in _fields(buffer, entry):
                if kind != _LENGTH:
                    continue
                if number == 1:
                    key = buffer[first : min(last, first + _LONGEST_KEY)]
                elif number == 2:
                    value = (first, last)
            yield key, value


def _feature(buffer: Buffer, span: Span) -> Feature:
    found = Feature()
    for number, kind, first, last in _fields(buffer, span):
        if kind != _LENGTH:
            continue
        if number == 1:
            found = Feature(spans=_spans(buffer, (first, last)))
        elif number == 2:
            found = Feature(floats=_floats(buffer, (first, last)))
        elif number == 3:
            found = Feature(ints=_ints(buffer, (first, last)))
    return found


def _floats(buffer: Buffer, span: Span) -> list[float]:
    values: list[float] = []
    for number, kind, first, last in _fields(buffer, span):
        if number != 1 or kind not in (_LENGTH, _FIXED32):
            continue
        count, rest = divmod(last - first, 4)
        if rest or len(values) + count > _MOST_VALUES:
            raise MalformedExample(f"a list of floats takes {last - first} bytes")
        values += struct.unpack_from(f"<{count}f", buffer, first)
    return values


def _ints(buffer: Buffer, span: Span) -> list[int]:
    values: list[int] = []
    for number, kind, first, last in _fields(buffer, span):
        if number != 1 or kind not in (_LENGTH, _VARINT):
            continue
        while first < last:
            if buffer[first] < 0x80:
                value, first = buffer[first], first + 1
            else:
                value, first = _varint(buffer, first, last)
            values.append(value - (1 << 64) if value >> 63 else value)
            if len(values) > _MOST_VALUES:
                raise MalformedExample(f"a list has more than {_MOST_VALUES} numbers")
    return values


def _spans(buffer: Buffer, span: Span) -> list[Span]:
    spans: list[Span] = []
    for number, kind, first, last in _fields(buffer, span):
        if number == 1 and kind == _LENGTH:
            spans.append((first, last))
            if len(spans) > _MOST_VALUES:
                raise MalformedExample(f"a list has more than {_MOST_VALUES} texts")
    return spans


def _messages(buffer: Buffer, span: Span, wanted: int) -> Iterator[Span]:
    """Yield the places of all length-delimited fields of one number."""
    for number, kind, first, last in _fields(buffer, span):
        if number == wanted and kind == _LENGTH:
            yield first, last


def _fields(buffer: Buffer, span: Span) -> Iterator[tuple[int, int, int, int]]:
    """Yield (number, wire type, first byte, byte behind the last) of a message's fields.

    Nothing is nested here, whatever the bytes say: groups, the one form that nests without stating
    its length, are refused, as they have been out of use since before TFRecords.
    """
    at, stop = span
    while at < stop:
        tag, at = _varint(buffer, at, stop) if buffer[at] >= 0x80 else (buffer[at], at + 1)
        number, kind = tag >> 3, tag & 7
        first = at
        if kind == _LENGTH:
            if at < stop and buffer[at] < 0x80:  # nearly always, and a call takes much longer
                length, first = buffer[at], at + 1
            else:
                length, first = _varint(buffer, at, stop)
            at = first + length
        elif kind == _VARINT:
            _, at = _varint(buffer, at, stop)
        elif kind == _FIXED32:
            at += 4
        elif kind == _FIXED64:
            at += 8
        else:
            raise MalformedExample(f"has a field of wire type {kind}")
        if at > stop:
            raise MalformedExample("has a field that is longer than what holds it")
        if number == 0:
            raise MalformedExample("has a field of number 0")
        yield number, kind, first, at


def _varint(buffer: Buffer, at: int, stop: int) -> tuple[int, int]:
    """Return a number and the place behind it."""
    value = 0
    for shift in range(0, 7 * _LONGEST_VARINT, 7):
        if at >= stop:
            raise MalformedExample("ends within a number")
        byte = buffer[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
    raise MalformedExample(f"has a number of more than {_LONGEST_VARINT} bytes")


def _encode_feature(values: bytes | Sequence[bytes | float | int]) -> bytes:
    if isinstance(values, bytes):
        values = [values]
    if not values:
        return b""
    if all(isinstance(value, bytes) for value in values):
        return _field(1, b"".join(_field(1, value) for value in values))  # type: ignore[arg-type]
    if any(isinstance(value, float) for value in values):
        return _field(2, _field(1, struct.pack(f"<{len(values)}f", *values)))
    return _field(3, _field(1, b"".join(_encode_varint(value) for value in values)))  # type: ignore[arg-type]


def _field(number: int, data: bytes) -> bytes:
    return _encode_varint(number << 3 | _LENGTH) + _encode_varint(len(data)) + data


def _encode_varint(value: int) -> bytes:
    value &= 0xFFFF_FFFF_FFFF_FFFF
    pieces = bytearray()
    while value >= 0x80:
        pieces.append(value & 0x7F | 0x80)
        value >>= 7
    pieces.append(value)
    return bytes(pieces)
