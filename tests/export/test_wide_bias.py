from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edge_retina.export.wide_bias import widen_biases

TYPES = schema.TensorType
OPERATORS = schema.BuiltinOperator
VALUES = np.array([1, -2, 2**31 - 1, -(2**31)], np.int32)


def tensor(kind: int, buffer: int = 0) -> Any:
    made = schema.TensorT()
    made.type, made.buffer = kind, buffer
    return made


def model_of(*operators: tuple[int, int, tuple[int, ...]], biases: int = 1) -> Any:
    """A model with tensors: 0 int16, 1 int8, 2 int8 kernel, 3... int32 of one buffer.

    `operators`: (code, input, further inputs).
    """
    buffer = schema.BufferT()
    buffer.data = VALUES.view(np.uint8)
    graph = schema.SubGraphT()
    graph.tensors = [tensor(TYPES.INT16), tensor(TYPES.INT8), tensor(TYPES.INT8)]
    graph.tensors += [tensor(TYPES.INT32, 1) for _ in range(biases)]
    graph.operators, codes = [], []
    for number, (code, image, others) in enumerate(operators):
        operator, operator_code = schema.OperatorT(), schema.OperatorCodeT()
        operator.opcodeIndex, operator.inputs = number, [image, *others]
        operator_code.builtinCode = code
        graph.operators.append(operator)
        codes.append(operator_code)
    model = schema.ModelT()
    model.buffers, model.subgraphs, model.operatorCodes = [schema.BufferT(), buffer], [graph], codes
    return model


@pytest.mark.parametrize("code", [OPERATORS.CONV_2D, OPERATORS.DEPTHWISE_CONV_2D])
def test_the_values_of_an_int16_convolution_stay(code: int) -> None:
    model = model_of((code, 0, (2, 3)))
    assert widen_biases(model) == 1
    bias = model.subgraphs[0].tensors[3]
    assert bias.type == TYPES.INT64
    found = np.asarray(model.buffers[bias.buffer].data, np.uint8).view(np.int64)
    np.testing.assert_array_equal(found, VALUES)


@pytest.mark.parametrize(
    "operator",
    [
        (OPERATORS.CONV_2D, 1, (2, 3)),  # int8
        (OPERATORS.CONV_2D, 0, (2,)),  # without a bias
        (OPERATORS.ADD, 0, (2, 3)),
    ],
)
def test_others_are_left_alone(operator: tuple[int, int, tuple[int, ...]]) -> None:
    model = model_of(operator)
    assert widen_biases(model) == 0
    assert model.subgraphs[0].tensors[3].type == TYPES.INT32
    assert len(model.buffers) == 2


def test_a_buffer_that_another_tensor_uses_is_kept() -> None:
    model = model_of((OPERATORS.CONV_2D, 0, (2, 3)), (OPERATORS.CONV_2D, 1, (2, 4)), biases=2)
    assert widen_biases(model) == 1
    other = model.subgraphs[0].tensors[4]
    assert other.type == TYPES.INT32
    kept = np.asarray(model.buffers[other.buffer].data, np.uint8).view(np.int32)
    np.testing.assert_array_equal(kept, VALUES)


def test_twice_is_once() -> None:
    model = model_of((OPERATORS.CONV_2D, 0, (2, 3)))
    widen_biases(model)
    assert widen_biases(model) == 0


def test_a_bias_of_two_convolutions_is_widened_once() -> None:
    model = model_of((OPERATORS.CONV_2D, 0, (2, 3)), (OPERATORS.CONV_2D, 0, (2, 3)))
    assert widen_biases(model) == 1
    bias = model.subgraphs[0].tensors[3]
    assert len(np.asarray(model.buffers[bias.buffer].data)) == 4 * 8
