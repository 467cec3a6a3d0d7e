"""A .tflite file as tensors and operators, ours or foreign, without an interpreter."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from edge_retina.errors import ModelError
from edge_retina.runtime.model_file import check_model_file

_TYPES = {value: name.lower() for name, value in vars(schema.TensorType).items() if name[0] != "_"}
_OPERATORS = {value: name for name, value in vars(schema.BuiltinOperator).items() if name[0] != "_"}
_BROKEN = (struct.error, TypeError, IndexError, ValueError, AttributeError, OverflowError)


@dataclass(frozen=True)
class TensorInfo:
    """One tensor.

    Attributes:
        name: in the file.
        shape: sides; 1 where the file leaves it open, see `is_static`.
        dtype: "float32", "int8", "uint8" and so on.
        scales: quantisation scales: none, one, or one for each slice along `axis`.
        zero_points: as many.
        axis: of the scales.
        is_constant: its values are in the file.
        is_static: no side is left open.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int
    is_constant: bool
    is_static: bool


@dataclass(frozen=True)
class OperatorInfo:
    """One operator.

    Attributes:
        name: of the built-in operator, or the custom operator's own name.
        is_custom: not built in: the runtime must be given it.
        inputs: indices of tensors; left-out ones are not in it.
        outputs: indices of tensors.
        macs: multiply-accumulate operations for one image.
    """

    name: str
    is_custom: bool
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    macs: int


@dataclass(frozen=True)
class Graph:
    """The main subgraph of a model.

    Attributes:
        tensors: by index.
        operators: in the order of execution.
        inputs: indices of tensors.
        outputs: indices of tensors, in the order in which clients see them.
        subgraphs: how many the file has.
        signatures: names of the signatures.
    """

    tensors: tuple[TensorInfo, ...]
    operators: tuple[OperatorInfo, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    subgraphs: int
    signatures: tuple[str, ...]

    @property
    def input_tensors(self) -> tuple[TensorInfo, ...]:
        """What a client gives."""
        return tuple(self.tensors[index] for index in self.inputs)

    @property
    def output_tensors(self) -> tuple[TensorInfo, ...]:
        """What a client gets."""
        return tuple(self.tensors[index] for index in self.outputs)

    @cached_property
    def constants(self) -> frozenset[int]:
        """Indices of the tensors that are stored, or computed of stored ones alone."""
        known = {index for index, tensor in enumerate(self.tensors) if tensor.is_constant}
        for operator in self.operators:
            if operator.inputs and known.issuperset(operator.inputs):
                known.update(operator.outputs)
        return frozenset(known)

    def activations(self, operator: OperatorInfo) -> tuple[TensorInfo, ...]:
        """Return the tensors of an operator that are computed, not stored."""
        used = (self.tensors[index] for index in (*operator.inputs, *operator.outputs))
        return tuple(tensor for tensor in used if not tensor.is_constant)


def read_graph(path: Path) -> Graph:
    """Read the main subgraph of a .tflite file.

    Raises:
        ModelError: missing, not a TFLite file, or cut off.
    """
    check_model_file(path)
    return parse_graph(path.read_bytes(), where=str(path))


def parse_graph(content: bytes, *, where: str) -> Graph:
    """Read the main subgraph of a .tflite file's content.

    Args:
        content: of the file.
        where: its name, for error messages.

    Raises:
        ModelError: not a TFLite flatbuffer, or cut off.
    """
    try:
        return _graph(schema.Model.GetRootAs(content, 0))
    except _BROKEN as error:
        raise ModelError(
            f"{where}: not a whole TFLite flatbuffer ({error}); if it was cut off in copying, "
            "copy it again"
        ) from None


def _graph(model: Any) -> Graph:
    if not model.SubgraphsLength():
        raise ValueError("it has no subgraph")
    main = model.Subgraphs(0)
    sizes = [model.Buffers(index).DataLength() for index in range(model.BuffersLength())]
    tensors = tuple(_tensor(main.Tensors(index), sizes) for index in range(main.TensorsLength()))
    codes = [_code(model.OperatorCodes(index)) for index in range(model.OperatorCodesLength())]
    operators = tuple(
        _operator(main.Operators(index), codes, tensors) for index in range(main.OperatorsLength())
    )
    signatures = (model.SignatureDefs(index) for index in range(model.SignatureDefsLength()))
    return Graph(
        tensors=tensors,
        operators=operators,
        inputs=tuple(main.Inputs(index) for index in range(main.InputsLength())),
        outputs=tuple(main.Outputs(index) for index in range(main.OutputsLength())),
        subgraphs=model.SubgraphsLength(),
        signatures=tuple(_text(signature.SignatureKey()) for signature in signatures),
    )


def _tensor(tensor: Any, buffer_sizes: list[int]) -> TensorInfo:
    quantization = tensor.Quantization()
    open_sides = (
        tensor.ShapeSignature(index) < 0 for index in range(tensor.ShapeSignatureLength())
    )
    scales: tuple[float, ...] = ()
    zero_points: tuple[int, ...] = ()
    if quantization is not None:
        scales = tuple(quantization.Scale(i) for i in range(quantization.ScaleLength()))
        zero_points = tuple(
            quantization.ZeroPoint(i) for i in range(quantization.ZeroPointLength())
        )
    return TensorInfo(
        name=_text(tensor.Name()),
        shape=tuple(tensor.Shape(index) for index in range(tensor.ShapeLength())),
        dtype=_TYPES.get(tensor.Type(), str(tensor.Type())),
        scales=scales,
        zero_points=zero_points,
        axis=quantization.QuantizedDimension() if quantization is not None else 0,
        is_constant=buffer_sizes[tensor.Buffer()] > 0,
        is_static=not any(open_sides),
    )


def _code(code: Any) -> tuple[str, bool]:
    """Return (name, is custom). Old files have the number in a field that was one byte wide."""
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    if number == schema.BuiltinOperator.CUSTOM:
        return _text(code.CustomCode()), True
    return _OPERATORS.get(number, f"operator {number}"), False


def _operator(
    operator: Any, codes: list[tuple[str, bool]], tensors: tuple[TensorInfo, ...]
) -> OperatorInfo:
    name, is_custom = codes[operator.OpcodeIndex()]
    places = [operator.Inputs(index) for index in range(operator.InputsLength())]
    outputs = tuple(operator.Outputs(index) for index in range(operator.OutputsLength()))
    shapes = [tensors[place].shape if place >= 0 else () for place in places]
    return OperatorInfo(
        name=name,
        is_custom=is_custom,
        inputs=tuple(place for place in places if place >= 0),
        outputs=outputs,
        macs=0 if is_custom else _macs(name, shapes, [tensors[index].shape for index in outputs]),
    )


def _macs(name: str, inputs: list[tuple[int, ...]], outputs: list[tuple[int, ...]]) -> int:
    """Return the MACs; 0 for operators in which they don't matter.

    Source: tensorflow/lite/schema: kernels are (out, h, w, in), depthwise (1, h, w, channels).
    """
    if name == "CONV_2D":
        return math.prod(outputs[0]) * math.prod(inputs[1][1:])
    if name == "DEPTHWISE_CONV_2D":
        return math.prod(outputs[0]) * math.prod(inputs[1][1:3])
    if name == "TRANSPOSE_CONV":  # inputs: output shape, kernel, image
        return math.prod(inputs[2]) * math.prod(inputs[1][:3])
    if name == "FULLY_CONNECTED":
        return math.prod(outputs[0]) * inputs[1][-1]
    if name == "BATCH_MATMUL":
        # Either side may be transposed: out is (.., m, n), the left one has m k elements
        return math.prod(outputs[0]) * math.prod(inputs[0][-2:]) // max(outputs[0][-2], 1)
    return 0


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "replace")
