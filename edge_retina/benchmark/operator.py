"""One operator of an int8 network as a .tflite file of its own, written without TensorFlow.

The time of a kernel depends on its shapes, not on its weights. So a description of a few bytes
travels to a device, and the file is written there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import Builder

CONV, DEPTHWISE, ADD, DOUBLE = "conv", "depthwise", "add", "double"
_SCALE = 0.05  # of activations; any will do
_VERSIONS = {  # of the operators that take int8
    schema.BuiltinOperator.CONV_2D: 3,
    schema.BuiltinOperator.DEPTHWISE_CONV_2D: 3,
    schema.BuiltinOperator.ADD: 2,
    schema.BuiltinOperator.CONCATENATION: 2,
    schema.BuiltinOperator.RESHAPE: 1,
}


@dataclass(frozen=True, order=True)
class Operator:
    """What the time of an operator depends on; it has one picture and "same" padding.

    Attributes:
        kind: "conv", "depthwise", "add" of two maps, or "double": height and width are doubled by
            repetition, in the four operators of `model.deploy`.
        height: of the input.
        width: of the input.
        channels: of the input.
        filters: channels of the output; as many as of the input unless it is a "conv".
        kernel: side of the kernel; 1 where there is none.
        stride: of the kernel.
    """

    kind: str
    height: int
    width: int
    channels: int
    filters: int
    kernel: int = 1
    stride: int = 1

    @property
    def macs(self) -> int:
        """Multiply-accumulate operations."""
        if self.kind not in (CONV, DEPTHWISE):
            return 0
        inputs = self.channels if self.kind == CONV else 1
        return math.prod(self.output_shape) * self.kernel**2 * inputs

    @property
    def output_shape(self) -> tuple[int, int, int, int]:
        """(1, height, width, channels)."""
        if self.kind == DOUBLE:
            return 1, 2 * self.height, 2 * self.width, self.filters
        height, width = (-(-side // self.stride) for side in (self.height, self.width))
        return 1, height, width, self.filters


def operator_model(operator: Operator) -> bytes:
    """Return a .tflite file of nothing but one operator, with int8 tensors and random weights."""
    writer = _Writer()
    shape = (1, operator.height, operator.width, operator.channels)
    image = writer.tensor(shape)
    writer.graph.inputs = [image]
    if operator.kind in (CONV, DEPTHWISE):
        output = writer.convolution(image, operator)
    elif operator.kind == ADD:
        writer.graph.inputs = [image, writer.tensor(shape)]
        output = writer.tensor(operator.output_shape)
        options = schema.AddOptionsT()
        writer.operator(schema.BuiltinOperator.ADD, options, writer.graph.inputs, output)
    else:
        output = writer.doubled(image, operator)
    writer.graph.outputs = [output]
    return writer.content()


class _Writer:
    """A model with one subgraph, to which tensors and operators are added."""

    def __init__(self) -> None:
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self._model = schema.ModelT()
        self._model.version = 3
        self._model.subgraphs = [self.graph]
        self._model.operatorCodes = []
        self._model.buffers = [schema.BufferT()]  # the first one is that of tensors without values
        self._random = np.random.default_rng(0)

    def tensor(
        self,
        shape: tuple[int, ...],
        *,
        values: np.ndarray | None = None,
        scales: np.ndarray | None = None,
        axis: int = 0,
    ) -> int:
        """Add a tensor, int8 or of the type of its values; return its index."""
        tensor = schema.TensorT()
        tensor.name = f"tensor{len(self.graph.tensors)}"
        tensor.shape = list(shape)
        tensor.buffer = 0
        is_int32 = values is not None and values.dtype == np.int32
        tensor.type = schema.TensorType.INT32 if is_int32 else schema.TensorType.INT8
        if values is not None:
            buffer = schema.BufferT()
            buffer.data = values.reshape(-1).view(np.uint8)
            tensor.buffer = len(self._model.buffers)
            self._model.buffers.append(buffer)
        if scales is None and not is_int32:
            scales = np.array([_SCALE], np.float32)
        if scales is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = scales
            tensor.quantization.zeroPoint = np.zeros(len(scales), np.int64)
            tensor.quantization.quantizedDimension = axis
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def operator(self, builtin: int, options: object, inputs: list[int], output: int) -> int:
        """Add an operator with one output; return the output."""
        codes = [code.builtinCode for code in self._model.operatorCodes]
        if builtin not in codes:
            code = schema.OperatorCodeT()
            code.builtinCode = code.deprecatedBuiltinCode = builtin
            code.version = _VERSIONS[builtin]
            self._model.operatorCodes.append(code)
            codes.append(builtin)
        operator = schema.OperatorT()
        operator.opcodeIndex = codes.index(builtin)
        operator.inputs, operator.outputs = inputs, [output]
        name = type(options).__name__.removesuffix("T")
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, name)
        operator.builtinOptions = options
        self.graph.operators.append(operator)
        return output

    def convolution(self, image: int, operator: Operator) -> int:
        """Add a convolution with ReLU6, its weights quantised per channel."""
        side, filters = operator.kernel, operator.filters
        depthwise = operator.kind == DEPTHWISE
        shape = (1, side, side, filters) if depthwise else (filters, side, side, operator.channels)
        scales = self._random.uniform(0.001, 0.01, filters).astype(np.float32)
        weights = self.tensor(
            shape,
            values=self._random.integers(-127, 128, shape, dtype=np.int8),
            scales=scales,
            axis=3 if depthwise else 0,
        )
        bias = self.tensor(
            (filters,), values=np.zeros(filters, np.int32), scales=scales * np.float32(_SCALE)
        )
        options = schema.DepthwiseConv2DOptionsT() if depthwise else schema.Conv2DOptionsT()
        if depthwise:
            options.depthMultiplier = 1
        options.padding = schema.Padding.SAME
        options.strideH = options.strideW = operator.stride
        options.fusedActivationFunction = schema.ActivationFunctionType.RELU6
        builtin = schema.BuiltinOperator
        return self.operator(
            builtin.DEPTHWISE_CONV_2D if depthwise else builtin.CONV_2D,
            options,
            [image, weights, bias],
            self.tensor(operator.output_shape),
        )

    def doubled(self, image: int, operator: Operator) -> int:
        """Add what `model.deploy` makes of an UpSampling2D."""
        height, width, channels = operator.height, operator.width, operator.channels
        columns = self._joined(image, (1, height, width, 2 * channels), axis=3)
        rows = self._reshaped(columns, (1, height, 1, 2 * width * channels))
        joined = self._joined(rows, (1, height, 2, 2 * width * channels), axis=2)
        return self._reshaped(joined, operator.output_shape)

    def _joined(self, image: int, shape: tuple[int, ...], *, axis: int) -> int:
        options = schema.ConcatenationOptionsT()
        options.axis = axis
        builtin = schema.BuiltinOperator.CONCATENATION
        return self.operator(builtin, options, [image, image], self.tensor(shape))

    def _reshaped(self, image: int, shape: tuple[int, ...]) -> int:
        options = schema.ReshapeOptionsT()
        options.newShape = list(shape)
        sides = self.tensor((len(shape),), values=np.array(shape, np.int32))
        builtin = schema.BuiltinOperator.RESHAPE
        return self.operator(builtin, options, [image, sides], self.tensor(shape))

    def content(self) -> bytes:
        """Return the file."""
        builder = Builder(1 << 16)
        builder.Finish(self._model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())
