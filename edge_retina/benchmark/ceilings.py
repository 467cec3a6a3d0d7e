"""What a machine can do at best: multiplications of one large convolution, bytes of a plain copy.

The two ceilings of a roofline (Williams et al. 2009). They are measured beside what is profiled, in
the same rounds and with the same kernels and threads.
"""

from __future__ import annotations

import statistics
import time

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import Builder

from edge_retina.runtime.model_file import MODEL_IDENTIFIER

_SIDE, _CHANNELS = 32, 256  # 67 million MACs; image and kernel stay in a cache of half a megabyte
CONVOLUTION_MACS = _SIDE * _SIDE * _CHANNELS * _CHANNELS
_SCALE = 0.02
_TENSOR_TYPES = {
    "float32": schema.TensorType.FLOAT32,
    "int8": schema.TensorType.INT8,
    "int32": schema.TensorType.INT32,
}


def convolution_model(dtype: str) -> bytes:
    """Return a model of one 1x1 convolution, float32 or int8 with a scale for each channel.

    Args:
        dtype: "float32" or "int8".
    """
    rng = np.random.default_rng(0)
    shape = (1, _SIDE, _SIDE, _CHANNELS)
    kernel_shape = (_CHANNELS, 1, 1, _CHANNELS)
    int8 = dtype == "int8"
    kernel = rng.integers(-127, 128, kernel_shape) if int8 else rng.normal(0, 0.05, kernel_shape)
    one, each = ((_SCALE,), (_SCALE,) * _CHANNELS) if int8 else ((), ())
    tensors, buffers = [], [schema.BufferT()]
    for name, sides, kind, values, scales in (
        ("image", shape, dtype, None, one),
        ("kernel", kernel_shape, dtype, kernel, each),
        ("bias", (_CHANNELS,), "int32" if int8 else dtype, np.zeros(_CHANNELS), each),
        ("output", shape, dtype, None, one),
    ):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type = name, list(sides), _TENSOR_TYPES[kind]
        tensor.buffer = 0
        if values is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(values.astype(kind).tobytes(), np.uint8)
            buffers.append(buffer)
            tensor.buffer = len(buffers) - 1
        if scales:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = list(scales)
            tensor.quantization.zeroPoint = [0] * len(scales)
        tensors.append(tensor)
    options = schema.Conv2DOptionsT()
    options.strideH = options.strideW = 1
    options.dilationHFactor = options.dilationWFactor = 1
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0, 1, 2], [3]
    operator.builtinOptionsType = schema.BuiltinOptions.Conv2DOptions
    operator.builtinOptions = options
    return _model(tensors, buffers, schema.BuiltinOperator.CONV_2D, operator)


def empty_model() -> bytes:
    """Return a model that adds two numbers: what a call costs in which nothing is computed."""
    tensors = []
    for name in ("a", "b"):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer = name, [1], 0
        tensor.type = schema.TensorType.FLOAT32
        tensors.append(tensor)
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0, 0], [1]
    operator.builtinOptionsType = schema.BuiltinOptions.AddOptions
    operator.builtinOptions = schema.AddOptionsT()
    return _model(tensors, [schema.BufferT()], schema.BuiltinOperator.ADD, operator)


class Copy:
    """A copy of memory, timed as pieces of a model are."""

    def __init__(self, size_bytes: int) -> None:
        """Take memory.

        Args:
            size_bytes: of what is copied.
        """
        self._source = np.ones(size_bytes, np.uint8)
        self._target = np.empty_like(self._source)

    @property
    def moved_bytes(self) -> int:
        """Read and written in one copy."""
        return 2 * self._source.size

    def median_ms(self, slice_ms: float) -> float:
        """Copy for at least so long; return the median of the single times."""
        clock = time.perf_counter_ns
        times: list[int] = []
        end = clock() + slice_ms * 1e6
        while not times or clock() < end:
            start = clock()
            np.copyto(self._target, self._source)
            times.append(clock() - start)
        return statistics.median(times) / 1e6


def _model(
    tensors: list[schema.TensorT],
    buffers: list[schema.BufferT],
    builtin: int,
    operator: schema.OperatorT,
) -> bytes:
    """Return a model of one operator from the first tensor to the last."""
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = builtin
    code.version = 3
    graph = schema.SubGraphT()
    graph.tensors, graph.operators = tensors, [operator]
    graph.inputs, graph.outputs = [0], [len(tensors) - 1]
    model = schema.ModelT()
    model.version = 3
    model.buffers, model.operatorCodes, model.subgraphs = buffers, [code], [graph]
    builder = Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=MODEL_IDENTIFIER)
    return bytes(builder.Output())
