"""int64 biases for int16 convolutions, which TFLite's kernels require and the converter forgets.

TF 2.21 writes an int32 bias behind int16 activations when the ranges come from fake quantisation;
LiteRT 2.3.0 then refuses the file ("bias->type != kTfLiteInt64").
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

_CONVOLUTIONS = (schema.BuiltinOperator.CONV_2D, schema.BuiltinOperator.DEPTHWISE_CONV_2D)


def widen_biases(model: Any) -> int:
    """Turn the int32 biases of int16 convolutions into int64, in place; return how many.

    Args:
        model: a `schema.ModelT`.
    """
    count = 0
    for graph in model.subgraphs:
        for operator in graph.operators:
            code = model.operatorCodes[operator.opcodeIndex].builtinCode
            if code not in _CONVOLUTIONS or len(operator.inputs) < 3:
                continue
            image, _, bias = (graph.tensors[index] for index in operator.inputs)
            if image.type == schema.TensorType.INT16 and bias.type == schema.TensorType.INT32:
                _widen(model, bias)
                count += 1
    return count


def _widen(model: Any, bias: Any) -> None:
    data = np.asarray(model.buffers[bias.buffer].data, np.uint8).view(np.int32)
    buffer = schema.BufferT()
    buffer.data = data.astype(np.int64).view(np.uint8)
    model.buffers.append(buffer)  # the old one may be another tensor's too
    bias.buffer = len(model.buffers) - 1
    bias.type = schema.TensorType.INT64
