"""A small .tflite file that is not ours, put together tensor by tensor."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import Builder

_TYPES = {
    np.dtype(np.float16): schema.TensorType.FLOAT16,
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.int8): schema.TensorType.INT8,
    np.dtype(np.uint8): schema.TensorType.UINT8,
    np.dtype(np.int32): schema.TensorType.INT32,
}


class ForeignModel:
    """Tensors and operators are added in order; `content` gives the file."""

    def __init__(self) -> None:
        self._model = schema.ModelT()
        self._model.version = 3
        self._model.buffers = [schema.BufferT()]  # 0 means "no values", by convention
        self._model.operatorCodes = []
        self._graph = schema.SubGraphT()
        self._graph.tensors, self._graph.operators = [], []
        self._model.subgraphs = [self._graph]

    def tensor(
        self,
        name: str,
        shape: tuple[int, ...],
        *,
        values: np.ndarray | None = None,
        dtype: type = np.float32,
        scales: tuple[float, ...] = (),
        axis: int = 0,
        zero_point: int = 0,
    ) -> int:
        """Add a tensor, with values if it is a constant; return its index."""
        tensor = schema.TensorT()
        tensor.name, tensor.shape = name, list(shape)
        tensor.type = _TYPES[np.dtype(dtype)]
        if values is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(values.astype(dtype).tobytes(), np.uint8)
            self._model.buffers.append(buffer)
            tensor.buffer = len(self._model.buffers) - 1
        if scales:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = list(scales)
            tensor.quantization.zeroPoint = [zero_point] * len(scales)
            tensor.quantization.quantizedDimension = axis
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def operator(
        self,
        name: str,
        inputs: list[int],
        outputs: list[int],
        options: object = None,
        *,
        version: int = 3,
        custom_options: bytes = b"",
    ) -> None:
        """Add an operator: a built-in one, or a custom one by its own name."""
        code = schema.OperatorCodeT()
        number = getattr(schema.BuiltinOperator, name, schema.BuiltinOperator.CUSTOM)
        code.builtinCode, code.deprecatedBuiltinCode = number, min(number, 127)
        code.version = version
        if number == schema.BuiltinOperator.CUSTOM:
            code.customCode = name
        self._model.operatorCodes.append(code)
        made = schema.OperatorT()
        made.opcodeIndex = len(self._model.operatorCodes) - 1
        made.inputs, made.outputs = inputs, outputs
        if custom_options:
            made.customOptions = np.frombuffer(custom_options, np.uint8)
        if options is not None:
            kind = type(options).__name__.removesuffix("T")
            made.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            made.builtinOptions = options
        self._graph.operators.append(made)

    def content(self, inputs: list[int], outputs: list[int], *, subgraphs: int = 1) -> bytes:
        """Return the file with these tensors as its inputs and outputs."""
        self._graph.inputs, self._graph.outputs = inputs, outputs
        self._model.subgraphs = [self._graph] * subgraphs
        builder = Builder(1024)
        builder.Finish(self._model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())


def conv_options() -> schema.Conv2DOptionsT:
    """Return the options of a convolution with stride 1."""
    options = schema.Conv2DOptionsT()
    options.strideH = options.strideW = 1
    options.dilationHFactor = options.dilationWFactor = 1
    return options


def conv_model(*, scales: tuple[float, ...] = (), custom: str = "") -> bytes:
    """Return a model of one 3x3 convolution, 8x8x3 to 8x8x4, int8 if there are kernel scales."""
    model = ForeignModel()
    dtype, one = (np.int8, (0.5,)) if scales else (np.float32, ())
    picture = model.tensor("picture", (1, 8, 8, 3), dtype=dtype, scales=one)
    kernel = model.tensor("kernel", (4, 3, 3, 3), values=np.ones(108), dtype=dtype, scales=scales)
    bias = model.tensor(
        "bias",
        (4,),
        values=np.zeros(4),
        dtype=np.int32 if scales else np.float32,
        scales=tuple(scale / 2 for scale in scales),
    )
    found = model.tensor("found", (1, 8, 8, 4), dtype=dtype, scales=one)
    model.operator("CONV_2D", [picture, kernel, bias], [found], conv_options())
    if not custom:
        return model.content([picture], [found])
    last = model.tensor("last", (1, 8, 8, 4), dtype=dtype, scales=one)
    model.operator(custom, [found], [last])
    return model.content([picture], [last])
