"""TFLite metadata as plain dictionaries: what the clients' task libraries read.

A table is a dictionary of its present fields, an enum the name of its value, a union a dictionary
of one item: the member's name and table. `export.metadata` writes what this reads.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from ai_edge_litert import schema_py_generated as schema
from flatbuffers import number_types
from flatbuffers.table import Table

from edge_retina.errors import ModelError
from edge_retina.runtime.metadata_schema import (
    DETECTOR_ENTRY,
    DETECTOR_ROOT,
    ENUMS,
    FILE_IDENTIFIERS,
    ROOT,
    TABLES,
    UNIONS,
    slots,
)

ENTRY_NAME = "TFLITE_METADATA"  # of the model's metadata entry that points to the buffer

_NUMBERS = {
    "bool": number_types.BoolFlags,
    "int": number_types.Int32Flags,
    "uint": number_types.Uint32Flags,
    "float": number_types.Float32Flags,
}
# What the flatbuffers package raises on offsets that point nowhere
_BROKEN = (struct.error, TypeError, IndexError, ValueError, UnicodeDecodeError, OverflowError)


def read_metadata(content: bytes, *, where: str) -> dict[str, Any] | None:
    """Return the metadata of a .tflite file; None if it has none.

    Args:
        content: of the file.
        where: names the file in an error message.

    Raises:
        ModelError: the metadata, or the model around it, can't be read.
    """
    try:
        packed = _metadata_buffer(content)
    except _BROKEN as error:
        raise ModelError(
            f"{where}: not a whole TFLite flatbuffer ({error}); copy or export it again"
        ) from None
    return None if packed is None else unpack(packed, where=where)


def read_detector_options(metadata: Mapping[str, Any], *, where: str) -> dict[str, Any] | None:
    """Return the ObjectDetectorOptions of a detector without NMS; None if there are none.

    Args:
        metadata: from `read_metadata`.
        where: names the file in an error message.

    Raises:
        ModelError: they can't be read.
    """
    for graph in metadata.get("subgraph_metadata", [])[:1]:
        for entry in graph.get("custom_metadata", []):
            if entry.get("name") == DETECTOR_ENTRY:
                return unpack(entry.get("data", b""), where=where, root=DETECTOR_ROOT)
    return None


def unpack(packed: bytes, *, where: str, root: str = ROOT) -> dict[str, Any]:
    """Return a flatbuffer with the table `root` as a dictionary.

    Raises:
        ModelError: another file identifier, or offsets that point nowhere.
    """
    name = ENTRY_NAME if root == ROOT else DETECTOR_ENTRY
    if packed[4:8] != FILE_IDENTIFIERS[root]:
        raise ModelError(
            f"{where}: {name} is not TFLite metadata (bytes 4..8 are {packed[4:8]!r}, "
            f"expected {FILE_IDENTIFIERS[root]!r}); write it again by exporting the model again"
        )
    try:
        (start,) = struct.unpack_from("<I", packed)
        return _read_table(Table(packed, start), root)
    except _BROKEN as error:
        raise ModelError(f"{where}: {name} is broken ({error}); export the model again") from None


def _metadata_buffer(content: bytes) -> bytes | None:
    model = schema.Model.GetRootAs(content, 0)
    for index in range(model.MetadataLength()):
        entry = model.Metadata(index)
        if entry.Name() == ENTRY_NAME.encode():
            data = model.Buffers(entry.Buffer()).DataAsNumpy()
            return data.tobytes() if hasattr(data, "tobytes") else b""  # 0: an empty buffer
    return None


def _read_table(table: Table, name: str) -> dict[str, Any]:
    found = {}
    for slot, field, kind in slots(name):
        value = _read_field(table, slot, kind)
        if value is not None:
            found[field] = value
    return found


def _read_field(table: Table, slot: int, kind: str) -> Any:
    place = table.Offset(4 + 2 * slot)
    if kind in ENUMS:
        return _enum_name(
            kind, table.Get(number_types.Int8Flags, table.Pos + place) if place else 0
        )
    if kind in _NUMBERS:
        numbers = _NUMBERS[kind]
        return table.Get(numbers, table.Pos + place) if place else numbers.py_type(0)
    if not place:
        return None
    place += table.Pos
    if kind in UNIONS:
        return _read_union(table, slot, kind, place)
    if kind == "bytes":
        return _read_bytes(table, slot)
    if kind.startswith("["):
        return _read_vector(table, slot, kind[1:-1])
    return _read_reference(table, place, kind)


def _read_union(table: Table, slot: int, kind: str, place: int) -> dict[str, Any] | None:
    type_place = table.Offset(4 + 2 * (slot - 1))
    member = table.Get(number_types.Uint8Flags, table.Pos + type_place) if type_place else 0
    if not 0 < member < len(UNIONS[kind]):
        return None
    name = UNIONS[kind][member]
    return {name: _read_table(Table(table.Bytes, table.Indirect(place)), name)}


def _read_bytes(table: Table, slot: int) -> bytes:
    offset = table.Offset(4 + 2 * slot)
    start, length = table.Vector(offset), table.VectorLen(offset)
    found = bytes(table.Bytes[start : start + length])
    if len(found) != length:
        raise IndexError(f"{length} bytes at {start}, {len(found)} are there")
    return found


def _read_vector(table: Table, slot: int, kind: str) -> list[Any]:
    offset = table.Offset(4 + 2 * slot)
    start = table.Vector(offset)  # every kind in a vector here is 4 bytes wide
    places = range(start, start + 4 * table.VectorLen(offset), 4)
    if kind in _NUMBERS:
        return [table.Get(_NUMBERS[kind], place) for place in places]
    return [_read_reference(table, place, kind) for place in places]


def _read_reference(table: Table, place: int, kind: str) -> Any:
    if kind in TABLES:
        return _read_table(Table(table.Bytes, table.Indirect(place)), kind)
    return table.String(place).decode("utf-8")


def _enum_name(kind: str, value: int) -> str:
    names = ENUMS[kind]
    return names[value] if 0 <= value < len(names) else str(value)
