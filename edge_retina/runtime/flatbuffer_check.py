"""Is a .tflite file what it says? Checked in plain Python before LiteRT, in C++, trusts it.

LiteRT verifies that offsets stay inside a file. It does not verify that what they lead to fits
together: a stride of 0, or a tensor larger than the machine, ends the process. Every table that we
or LiteRT open is walked here, with these rules:

- tables, vectors and strings lie inside the file, and are not shared so often that reading them
  all would take forever;
- operators, inputs, outputs, signatures and metadata name tensors, buffers, operator codes and
  subgraphs that are there, and each subgraph's operators come after what they read;
- sides are not negative, and a constant has as many bytes as its shape and type take;
- neither a tensor nor any moment of a run takes more than `MOST_TENSOR_BYTES`;
- strides, dilations, windows and blocks, by which kernels divide, are 1 or more.

What depends on the kernels themselves can't be seen here; for that see `trial_run`.

Source: schema.fbs of LiteRT (version 3), and the binary format of FlatBuffers.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from edge_retina.errors import ModelError

MOST_TENSOR_BYTES = 2**30  # a phone has no more for one network
_MOST_STEP = 2**16  # of a stride and the like: more than any picture's side
_MOST_SHARED = 8  # tables, vectors and strings together are at most so often the file's size
_BEHIND = 2  # offsets of a buffer below this mean that it does not lie behind the flatbuffer

# Fields by slot. A number is the width of a scalar; "s" a string; "[N]" a vector of scalars of N
# bytes; "T" a table; "[T]" a vector of tables; "options" a table whose type another field names.
_Fields = Mapping[int, Any]
_TABLES: Mapping[str, _Fields] = {
    "Model": {
        0: 4,
        1: "[OperatorCode]",
        2: "[SubGraph]",
        3: "s",
        4: "[Buffer]",
        5: "[4]",
        6: "[Metadata]",
        7: "[SignatureDef]",
    },
    "OperatorCode": {0: 1, 1: "s", 2: 4, 3: 4},
    "SubGraph": {0: "[Tensor]", 1: "[4]", 2: "[4]", 3: "[Operator]", 4: "s"},
    "Tensor": {0: "[4]", 1: 1, 2: 4, 3: "s", 4: "Quantization", 6: "options", 7: "[4]"},
    "Quantization": {0: "[4]", 1: "[4]", 2: "[4]", 3: "[8]", 6: 4},
    "Operator": {
        0: 4,
        1: "[4]",
        2: "[4]",
        3: 1,
        4: "options",
        5: "[1]",
        7: "[1]",
        8: "[4]",
        9: 8,
        10: 8,
    },
    "Buffer": {0: "[1]", 1: 8, 2: 8},
    "Metadata": {0: "s", 1: 4},
    "SignatureDef": {0: "[TensorMap]", 1: "[TensorMap]", 2: "s", 4: 4},
    "TensorMap": {0: "s", 1: 4},
}
_INTEGERS = {1: "<b", 4: "<i", 8: "<Q"}

_TYPES = {value: name.lower() for name, value in vars(schema.TensorType).items() if name[0] != "_"}
_BITS = {
    **dict.fromkeys(("int2",), 2),
    **dict.fromkeys(("int4", "uint4"), 4),
    **dict.fromkeys(("int8", "uint8", "bool", "float8_e4m3fn", "float8_e5m2"), 8),
    **dict.fromkeys(("int16", "uint16", "float16", "bfloat16"), 16),
    **dict.fromkeys(("int32", "uint32", "float32"), 32),
    **dict.fromkeys(("int64", "uint64", "float64", "complex64"), 64),
    **dict.fromkeys(("complex128",), 128),
}
_OPERATORS = {value: name for name, value in vars(schema.BuiltinOperator).items() if name[0] != "_"}
# Operators whose kernels divide by numbers of their options: the type of the options, and which
# slots, with what an absent one counts as.
_POSITIVE: Mapping[str, tuple[str, Mapping[int, tuple[str, int]]]] = {
    "CONV_2D": (
        "Conv2DOptions",
        {1: ("stride", 0), 2: ("stride", 0), 4: ("dilation", 1), 5: ("dilation", 1)},
    ),
    "DEPTHWISE_CONV_2D": (
        "DepthwiseConv2DOptions",
        {1: ("stride", 0), 2: ("stride", 0), 5: ("dilation", 1), 6: ("dilation", 1)},
    ),
    "TRANSPOSE_CONV": ("TransposeConvOptions", {1: ("stride", 0), 2: ("stride", 0)}),
    "CONV_3D": (
        "Conv3DOptions",
        {
            **dict.fromkeys((1, 2, 3), ("stride", 0)),
            **dict.fromkeys((5, 6, 7), ("dilation", 1)),
        },
    ),
    **dict.fromkeys(
        ("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D"),
        (
            "Pool2DOptions",
            {1: ("stride", 0), 2: ("stride", 0), 3: ("window", 0), 4: ("window", 0)},
        ),
    ),
    "SPACE_TO_DEPTH": ("SpaceToDepthOptions", {0: ("block", 0)}),
    "DEPTH_TO_SPACE": ("DepthToSpaceOptions", {0: ("block", 0)}),
}


class _BrokenError(Exception):
    """What is wrong with the file."""


def check_flatbuffer(content: bytes, *, where: str) -> None:
    """Refuse the content of a .tflite file that isn't consistent in itself.

    Args:
        content: of the file.
        where: its name, for the message.

    Raises:
        ModelError: says which rule of this module's docstring is broken, and by what.
    """
    try:
        model = _Walk(content).model()
        _check_model(content, model)
    except (_BrokenError, struct.error) as error:
        raise ModelError(
            f"{where}: cut off or damaged: {error}; copy it again, or export it again"
        ) from None


class _Walk:
    """Reads tables as {slot: value}: integers, (start, count) of vectors, texts, and tables."""

    def __init__(self, content: bytes) -> None:
        self._content, self._size = content, len(content)
        self._left = _MOST_SHARED * self._size + 2**16

    def model(self) -> dict[int, Any]:
        """Return the root table."""
        return self._table(self._offset(0), "Model")

    def _offset(self, at: int) -> int:
        """Return where the unsigned 32-bit offset at `at` leads."""
        self._inside(at, 4)
        return at + int(struct.unpack_from("<I", self._content, at)[0])

    def _inside(self, at: int, count: int) -> None:
        if at < 0 or at + count > self._size:
            raise _BrokenError(f"{count} bytes at {at}, but it has only {self._size}")
        self._left -= count
        if self._left < 0:
            raise _BrokenError("its tables share more than any model's do")

    def _fields(self, at: int) -> tuple[int, tuple[int, ...]]:
        """Return the size of a table, and the place of each slot in it, 0 for an absent one."""
        self._inside(at, 4)
        vtable = at - struct.unpack_from("<i", self._content, at)[0]
        self._inside(vtable, 4)
        length, size = struct.unpack_from("<HH", self._content, vtable)
        if length < 4 or length % 2 or size < 4:
            raise _BrokenError(f"the table at {at} states sizes of {length} and {size}")
        self._inside(vtable, length)
        self._inside(at, size)
        places = struct.unpack_from(f"<{length // 2 - 2}H", self._content, vtable + 4)
        if places and max(places) >= size:
            raise _BrokenError(f"a field of the table at {at} lies behind its {size} bytes")
        return size, places

    def _table(self, at: int, name: str) -> dict[int, Any]:
        size, places = self._fields(at)
        kinds = _TABLES[name]
        found: dict[int, Any] = {}
        for slot, place in enumerate(places):
            kind = kinds.get(slot)
            if not place or kind is None:
                continue
            width = kind if isinstance(kind, int) else 4
            if place + width > size:
                raise _BrokenError(f"field {slot} of {name} at {at} lies behind its {size} bytes")
            found[slot] = self._value(at + place, kind)
        return found

    def _value(self, at: int, kind: Any) -> Any:
        if isinstance(kind, int):
            return struct.unpack_from(_INTEGERS[kind], self._content, at)[0]
        target = self._offset(at)
        if kind == "s":
            return self._text(target)
        if kind == "options":
            return target, *self._fields(target)
        if not kind.startswith("["):
            return self._table(target, kind)
        if kind[1].isdigit():
            return self._vector(target, int(kind[1]))
        start, count = self._vector(target, 4)
        return [self._table(self._offset(start + 4 * i), kind[1:-1]) for i in range(count)]

    def _text(self, at: int) -> str:
        start, count = self._vector(at, 1)
        try:
            return self._content[start : start + count].decode("utf-8")
        except UnicodeDecodeError:
            raise _BrokenError(f"the name at {start} is not UTF-8") from None

    def _vector(self, at: int, width: int) -> tuple[int, int]:
        self._inside(at, 4)
        count = int(struct.unpack_from("<I", self._content, at)[0])
        self._inside(at + 4, width * count)
        return at + 4, count


def _check_model(content: bytes, model: dict[int, Any]) -> None:
    buffers = model.get(4, [])
    sizes = [_buffer_size(content, number, buffer) for number, buffer in enumerate(buffers)]
    codes = [_code_name(content, code) for code in model.get(1, [])]
    graphs = model.get(2, [])
    if not graphs:
        raise _BrokenError("it has no subgraph")
    for number, graph in enumerate(graphs):
        _Graph(content, graph, buffers, sizes, codes).check(f"subgraph {number}" if number else "")
    for entry in model.get(6, []):
        _in_range(entry.get(1, 0), len(buffers), "a metadata entry names buffer")
    for signature in model.get(7, []):
        place = signature.get(4, 0)
        _in_range(place, len(graphs), "a signature names subgraph")
        tensors = len(graphs[place].get(0, []))
        for entry in (*signature.get(0, []), *signature.get(1, [])):
            _in_range(entry.get(1, 0), tensors, "a signature names tensor")


def _in_range(number: int, count: int, what: str) -> None:
    if not 0 <= number < count:
        raise _BrokenError(f"{what} {number}, but there are {count}")


def _buffer_size(content: bytes, number: int, buffer: dict[int, Any]) -> int:
    start, size = buffer.get(1, 0), buffer.get(2, 0)
    if start < _BEHIND:
        return int(buffer.get(0, (0, 0))[1])
    if start + size > len(content):
        raise _BrokenError(f"buffer {number} ends at byte {start + size} of {len(content)}")
    return int(size)


def _code_name(content: bytes, code: dict[int, Any]) -> str:
    """Return the name of a built-in operator; "" for a custom one."""
    number = max(code.get(0, 0), code.get(3, 0))
    if number == schema.BuiltinOperator.CUSTOM:
        return ""
    if number not in _OPERATORS:
        raise _BrokenError(f"operator {number} is unknown; it may be newer than this LiteRT")
    return str(_OPERATORS[number])


class _Graph:
    """The checks of one subgraph."""

    def __init__(
        self,
        content: bytes,
        graph: dict[int, Any],
        buffers: list[dict[int, Any]],
        sizes: list[int],
        codes: list[str],
    ) -> None:
        self._content, self._graph = content, graph
        self._buffers, self._sizes, self._codes = buffers, sizes, codes
        self._tensors = graph.get(0, [])

    def check(self, where: str) -> None:
        """Check everything; `where` names the subgraph, "" for the main one."""
        try:
            self._check()
        except _BrokenError as error:
            raise _BrokenError(f"{where}: {error}" if where else str(error)) from None

    def _check(self) -> None:
        places = [self._tensor(number) for number in range(len(self._tensors))]
        inputs, outputs = self._integers(self._graph, 1), self._integers(self._graph, 2)
        for number in inputs:
            _in_range(number, len(places), "an input is tensor")
        for number in outputs:
            _in_range(number, len(places), "an output is tensor")
        operators = []
        for number, operator in enumerate(self._graph.get(3, [])):
            operators.append(self._operator(number, operator))
        self._check_memory(places, operators, inputs, outputs)

    def _integers(self, table: dict[int, Any], slot: int) -> tuple[int, ...]:
        start, count = table.get(slot, (0, 0))
        return struct.unpack_from(f"<{count}i", self._content, start)

    def _name(self, number: int) -> str:
        text = self._tensors[number].get(3, "")[:60]
        return f"tensor {number} '{text}'" if text.isprintable() else f"tensor {number}"

    def _tensor(self, number: int) -> int:
        """Check a tensor; return how many bytes a run needs for it, 0 for a constant."""
        tensor = self._tensors[number]
        shape, kind = self._integers(tensor, 0), tensor.get(1, 0)
        if any(side < 0 for side in shape):
            raise _BrokenError(f"{self._name(number)} has a negative side: {list(shape)}")
        if kind not in _TYPES:
            raise _BrokenError(f"{self._name(number)} is of the unknown type {kind}")
        self._check_quantization(number, tensor.get(4, {}), len(shape))
        buffer = tensor.get(2, 0)
        _in_range(buffer, len(self._buffers), f"{self._name(number)} names buffer")
        size, bits = self._sizes[buffer], _BITS.get(_TYPES[kind])
        if bits is None:  # strings and resources are as long as they are
            if size and _TYPES[kind] == "string":
                self._check_strings(number, self._buffers[buffer], size)
            return 0
        needed = (math.prod(shape) * bits + 7) // 8
        if needed > MOST_TENSOR_BYTES:
            raise _BrokenError(
                f"{self._name(number)} {list(shape)} takes {needed} bytes, more than "
                f"{MOST_TENSOR_BYTES // 2**20} MiB"
            )
        if not size or 6 in tensor:  # computed; or sparse, and spread when it is read
            return needed
        if size != needed:
            raise _BrokenError(
                f"{self._name(number)} {list(shape)} of {_TYPES[kind]} takes {needed} bytes, "
                f"but {size} are stored"
            )
        return 0

    def _check_quantization(self, number: int, table: dict[int, Any], sides: int) -> None:
        scales, zeros = table.get(2, (0, 0))[1], table.get(3, (0, 0))[1]
        if scales and zeros not in (1, scales):
            raise _BrokenError(f"{self._name(number)} has {scales} scales and {zeros} zero points")
        if scales > 1:
            _in_range(table.get(6, 0), sides, f"{self._name(number)} has scales along axis")

    def _check_strings(self, number: int, buffer: dict[int, Any], size: int) -> None:
        """Check the offsets of a tensor of strings: how many, where each begins, where they end."""
        start = buffer[1] if buffer.get(1, 0) >= _BEHIND else buffer[0][0]
        if size < 4:
            raise _BrokenError(f"{self._name(number)} of strings has {size} bytes")
        (count,) = struct.unpack_from("<i", self._content, start)
        if not 0 <= count <= size // 4 - 2:
            raise _BrokenError(f"{self._name(number)} states {count} strings in {size} bytes")
        ends = struct.unpack_from(f"<{count + 1}i", self._content, start + 4)
        if list(ends) != sorted(ends) or ends[0] < 0 or ends[-1] > size:
            raise _BrokenError(f"{self._name(number)} has strings outside its {size} bytes")

    def _operator(self, number: int, operator: dict[int, Any]) -> tuple[list[int], list[int]]:
        """Check an operator; return which tensors it reads and which it makes."""
        code = operator.get(0, 0)
        _in_range(code, len(self._codes), f"operator {number} names code")
        what = f"operator {number} ({self._codes[code] or 'custom'})"
        inputs = [place for place in self._integers(operator, 1) if place != -1]  # -1: left out
        outputs = list(self._integers(operator, 2))
        for place in inputs:
            _in_range(place, len(self._tensors), f"{what} reads tensor")
        for place in outputs:
            _in_range(place, len(self._tensors), f"{what} makes tensor")
        for place in self._integers(operator, 8):
            _in_range(max(place, 0), len(self._tensors), f"{what} keeps tensor")
        start, size = operator.get(9, 0), operator.get(10, 0)
        if start >= _BEHIND and start + size > len(self._content):
            raise _BrokenError(f"{what} has options that end at byte {start + size}")
        self._check_options(what, self._codes[code], operator)
        return inputs, outputs

    def _check_options(self, what: str, name: str, operator: dict[int, Any]) -> None:
        if name not in _POSITIVE:
            return
        kind, rules = _POSITIVE[name]
        if operator.get(3, 0) != getattr(schema.BuiltinOptions, kind) or 4 not in operator:
            raise _BrokenError(f"{what} has no {kind}")
        at, size, places = operator[4]
        for slot, (noun, value) in rules.items():
            place = places[slot] if slot < len(places) else 0
            if place:
                if place + 4 > size:
                    raise _BrokenError(f"{what} has options of {size} bytes")
                (value,) = struct.unpack_from("<i", self._content, at + place)
            if not 1 <= value <= _MOST_STEP:
                raise _BrokenError(f"{what} has a {noun} of {value}; expected 1..{_MOST_STEP}")

    def _check_memory(
        self,
        needed: Sequence[int],
        operators: Sequence[tuple[list[int], list[int]]],
        inputs: Sequence[int],
        outputs: Sequence[int],
    ) -> None:
        """Add up what is held at each operator: tensors that are made and still to be read."""
        last = {place: number for number, (reads, _) in enumerate(operators) for place in reads}
        last |= dict.fromkeys(outputs, len(operators))
        ends: dict[int, list[int]] = {}
        for place, number in last.items():
            ends.setdefault(number, []).append(place)
        live = set(inputs)
        held = sum(needed[place] for place in live)
        for number, (_, made) in enumerate(operators):
            for place in set(made) - live:
                live.add(place)
                held += needed[place]
            if held > MOST_TENSOR_BYTES:
                raise _BrokenError(
                    f"it needs {held // 2**20} MiB for tensors at operator {number}, more than "
                    f"{MOST_TENSOR_BYTES // 2**20}"
                )
            for place in live.intersection((*ends.get(number, ()), *made)):
                if last.get(place, number) <= number:
                    live.discard(place)
                    held -= needed[place]
