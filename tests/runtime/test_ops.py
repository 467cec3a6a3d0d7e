from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edge_retina.runtime.ops import _XNNPACK, count_delegate_partitions, delegate_partitions
from tests.runtime.foreign_model import ForeignModel

SHAPE = (1, 4, 4, 8)
_UNARY = """
    ABS CEIL COS ELU EXP FLOOR GELU HARD_SWISH LEAKY_RELU LOG LOGISTIC NEG RELU RELU6 RELU_N1_TO_1
    RELU_0_TO_1 ROUND RSQRT SIN SQRT SQUARE TANH SIGN SOFTMAX LOG_SOFTMAX
"""
UNARY = _UNARY.split()
_BINARY = "ADD DIV FLOOR_MOD MAXIMUM MINIMUM MUL POW SQUARED_DIFFERENCE SUB"
BINARY = _BINARY.split()
REDUCTIONS = ("MEAN", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "SUM")
OPTIONS = {
    "ADD": schema.AddOptionsT,
    "DIV": schema.DivOptionsT,
    "GELU": schema.GeluOptionsT,
    "LEAKY_RELU": schema.LeakyReluOptionsT,
    "MUL": schema.MulOptionsT,
    "SOFTMAX": schema.SoftmaxOptionsT,
    "SUB": schema.SubOptionsT,
    **dict.fromkeys(REDUCTIONS, schema.ReducerOptionsT),
}


def opened(name: str, *, xnnpack: bool = True) -> Interpreter:
    """Open a model of one float32 operator."""
    model = ForeignModel()
    inputs = [model.tensor("given", SHAPE)]
    if name in BINARY:
        inputs.append(model.tensor("other", SHAPE, values=np.ones(SHAPE)))
    if name in REDUCTIONS:
        inputs.append(model.tensor("axis", (1,), values=np.array([3]), dtype=np.int32))
    made = model.tensor("made", SHAPE[:3] if name in REDUCTIONS else SHAPE)
    options = OPTIONS[name]() if name in OPTIONS else None
    for field in ("beta", "alpha"):  # of SOFTMAX and LEAKY_RELU; 0 is not allowed
        if hasattr(options, field):
            setattr(options, field, 1.0 if field == "beta" else 0.1)
    model.operator(name, inputs, [made], options, version=1)
    resolver = OpResolverType.AUTO if xnnpack else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(
        model_content=model.content([inputs[0]], [made]), experimental_op_resolver_type=resolver
    )
    interpreter.allocate_tensors()
    return interpreter


@pytest.mark.parametrize("name", [*UNARY, *BINARY, *REDUCTIONS])
def test_the_list_of_xnnpack_s_operators_is_what_it_takes(name: str) -> None:
    taken = delegate_partitions(opened(name)) == ({0},)
    assert taken == (name in _XNNPACK)


def test_without_a_delegate_there_are_no_partitions() -> None:
    assert delegate_partitions(opened("ABS", xnnpack=False)) == ()


def test_why_an_operator_was_left() -> None:
    (left,) = count_delegate_partitions(opened("SIGN")).left
    assert (left.name, left.count, left.reason) == ("SIGN", 1, "XNNPACK has no such operator")
