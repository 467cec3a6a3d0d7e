"""Dictionaries -> a TFLite metadata flatbuffer, driven by the schema as data."""

from __future__ import annotations

from typing import Any

import numpy as np
from flatbuffers import Builder

from edge_retina.runtime.metadata_schema import (
    ENUMS,
    FILE_IDENTIFIERS,
    ROOT,
    TABLES,
    UNIONS,
    slot_count,
    slots,
)

_NUMBER_SLOTS = {
    "bool": Builder.PrependBoolSlot,
    "int": Builder.PrependInt32Slot,
    "uint": Builder.PrependUint32Slot,
    "float": Builder.PrependFloat32Slot,
}
_DATA_ALIGNMENT = 16  # force_align of CustomMetadata.data: a flatbuffer is read in place
_NUMPY_TYPES = {"int": np.int32, "uint": np.uint32, "float": np.float32}


def pack(document: dict[str, Any], *, root: str = ROOT) -> bytes:
    """Return a flatbuffer, its table `root`, of what `runtime.metadata.unpack` gives."""
    builder = Builder(1024)
    start = _write_table(builder, root, document)
    builder.Finish(start, file_identifier=FILE_IDENTIFIERS[root])
    return bytes(builder.Output())


def _write_table(builder: Builder, name: str, values: dict[str, Any]) -> int:
    """Write a table, its children first; return its offset.

    Raises:
        KeyError: `values` has a field that the schema doesn't.
    """
    parts = []
    kinds = {field: (slot, kind) for slot, field, kind in slots(name)}
    for field, value in values.items():
        slot, kind = kinds[field]
        parts.append((slot, kind, value, _write_child(builder, kind, value)))
    builder.StartObject(slot_count(name))
    for slot, kind, value, child in parts:
        if kind in ENUMS:
            builder.PrependInt8Slot(slot, ENUMS[kind].index(value), 0)
        elif kind in _NUMBER_SLOTS:
            _NUMBER_SLOTS[kind](builder, slot, value, 0)
        else:
            if kind in UNIONS:
                (member,) = value
                builder.PrependUint8Slot(slot - 1, UNIONS[kind].index(member), 0)
            builder.PrependUOffsetTRelativeSlot(slot, child, 0)
    return builder.EndObject()


def _write_child(builder: Builder, kind: str, value: Any) -> int:
    """Write what a field points to and return its offset; 0 for a field that holds its value."""
    if kind in ENUMS or kind in _NUMBER_SLOTS:
        return 0
    if kind == "string":
        return builder.CreateString(value)
    if kind == "bytes":
        builder.Prep(_DATA_ALIGNMENT, len(value))
        return builder.CreateByteVector(value)
    if kind in TABLES:
        return _write_table(builder, kind, value)
    if kind in UNIONS:
        ((member, table),) = value.items()
        return _write_table(builder, member, table)
    item = kind[1:-1]
    if item in _NUMPY_TYPES:
        return builder.CreateNumpyVector(np.array(value, _NUMPY_TYPES[item]))
    offsets = [_write_child(builder, item, element) for element in value]
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):  # flatbuffers are written backwards
        builder.PrependUOffsetTRelative(offset)
    return builder.EndVector()
