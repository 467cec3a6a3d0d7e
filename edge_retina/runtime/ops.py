"""What a delegate took over of a model's graph, and why it left the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

# The operators that XNNPACK's delegate has a case for: `VisitNode` in xnnpack_delegate.cc of
# LiteRT 2.3. Each of them is still refused for unusual types, shapes or parameters.
_XNNPACK_OPERATORS = """
    ABS ADD AVERAGE_POOL_2D BATCH_MATMUL CEIL CONCATENATION CONV_2D COS DEPTHWISE_CONV_2D
    DEPTH_TO_SPACE DEQUANTIZE DIV ELU EXP EXPAND_DIMS FLOOR FULLY_CONNECTED GELU HARD_SWISH
    LEAKY_RELU LOG LOGISTIC MAXIMUM MAX_POOL_2D MEAN MINIMUM MUL NEG PAD PRELU QUANTIZE REDUCE_MAX
    REDUCE_MIN RELU RELU6 RELU_N1_TO_1 RESHAPE RESIZE_BILINEAR ROUND RSQRT SIN SLICE SOFTMAX
    SPACE_TO_DEPTH SPLIT SQRT SQUARE SQUARED_DIFFERENCE STRIDED_SLICE SUB SUM TANH TRANSPOSE
    TRANSPOSE_CONV
"""
_XNNPACK = frozenset(_XNNPACK_OPERATORS.split())
_XNNPACK_TYPES = frozenset({"float32", "float16", "int8", "uint8"})
# What multiplies by weights: between the first and the last of these lies the network
_WEIGHTED = frozenset(
    {"BATCH_MATMUL", "CONV_2D", "CONV_3D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"}
)


@dataclass(frozen=True)
class LeftOperators:
    """Operators of one type that a delegate did not take, for one reason.

    Attributes:
        name: of the type.
        count: how many.
        network: how many of them multiply by weights, or stand between operators that do; the
            others prepare the input or decode the output.
        reason: why they were left, as far as it is known.
    """

    name: str
    count: int
    network: int
    reason: str


@dataclass(frozen=True)
class DelegateInfo:
    """How much of the graph runs in a delegate.

    Attributes:
        name: of the delegate, e.g. "xnnpack".
        partitions: pieces of the graph it runs; 1 means that control enters and leaves it once.
        nodes_delegated: operators inside these pieces.
        nodes_total: operators of the graph.
        left: the others.
    """

    name: str
    partitions: int
    nodes_delegated: int
    nodes_total: int
    left: tuple[LeftOperators, ...] = ()

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> DelegateInfo:
        """Return what `dataclasses.asdict` made a tree of; `left` may be missing."""
        left = tuple(LeftOperators(**entry) for entry in tree.get("left", ()))
        return cls(**{**tree, "left": left})


def count_delegate_partitions(interpreter: Interpreter, *, name: str = "xnnpack") -> DelegateInfo:
    """Say what the delegate of an interpreter with allocated tensors runs.

    LiteRT keeps the replaced operators in its list and appends one `DELEGATE` operator for each
    partition. It doesn't tell which operators a partition holds, so they are found by walking from
    the partition's outputs back to its inputs.
    """
    operators, partitions = _operators_and_partitions(interpreter)
    delegated = set().union(*partitions)
    left = [op for op in operators if op["index"] not in delegated]
    dtypes = {
        int(tensor["index"]): np.dtype(tensor["dtype"]).name
        for tensor in interpreter.get_tensor_details()
    }
    network = network_operators([(op["op_name"], op["inputs"], op["outputs"]) for op in operators])
    places = {op["index"]: place for place, op in enumerate(operators)}
    return DelegateInfo(
        name,
        len(partitions),
        len(delegated),
        len(operators),
        _group(left, dtypes, {op["index"] for op in left if places[op["index"]] in network}),
    )


def delegate_partitions(interpreter: Interpreter) -> tuple[frozenset[int], ...]:
    """Return the places of the operators that each partition of a delegate runs.

    Args:
        interpreter: with allocated tensors; without a delegate there are no partitions.
    """
    return tuple(_operators_and_partitions(interpreter)[1])


def network_operators(
    operators: Sequence[tuple[str, Sequence[int], Sequence[int]]],
) -> set[int]:
    """Return the places of the operators from the first weights to the last.

    Args:
        operators: name, input tensors and output tensors of each, in the order of execution.
    """
    after: set[int] = set()  # tensors that some weights have been multiplied into
    behind = []
    for name, inputs, outputs in operators:
        behind.append(name in _WEIGHTED or not after.isdisjoint(map(int, inputs)))
        if behind[-1]:
            after.update(map(int, outputs))
    before: set[int] = set()  # tensors that some weights are still to be multiplied with
    network = set()
    for place in reversed(range(len(operators))):
        name, inputs, outputs = operators[place]
        if name in _WEIGHTED or not before.isdisjoint(map(int, outputs)):
            before.update(map(int, inputs))
            if behind[place]:
                network.add(place)
    return network


def _operators_and_partitions(
    interpreter: Interpreter,
) -> tuple[list[dict[str, Any]], list[frozenset[int]]]:
    """Return the operators of the file, and the indices of those in each partition."""
    # No public call lists the operators of an interpreter
    details = interpreter._get_ops_details()
    operators = [op for op in details if op["op_name"] != "DELEGATE"]
    producer = {int(tensor): op for op in operators for tensor in op["outputs"]}
    partitions = [op for op in details if op["op_name"] == "DELEGATE"]
    return operators, [frozenset(_operators_inside(item, producer)) for item in partitions]


def _group(
    left: Sequence[Mapping[str, Any]], dtypes: Mapping[int, str], network: set[int]
) -> tuple[LeftOperators, ...]:
    """Group by type and reason, the most frequent first."""
    keys = {op["index"]: (op["op_name"], _why_left(op, dtypes)) for op in left}
    counts = Counter(keys.values())
    inside = Counter(key for index, key in keys.items() if index in network)
    return tuple(
        LeftOperators(name, count, inside[name, reason], reason)
        for (name, reason), count in counts.most_common()
    )


def _why_left(operator: Mapping[str, Any], dtypes: Mapping[int, str]) -> str:
    name = operator["op_name"]
    if name not in _XNNPACK:
        return "XNNPACK has no such operator"
    # The first input and the outputs are values; the other inputs may be shapes and axes
    values = [*operator["inputs"][:1], *operator["outputs"]]
    types = list(dict.fromkeys(dtypes[int(tensor)] for tensor in values if int(tensor) in dtypes))
    odd = [dtype for dtype in types if dtype not in _XNNPACK_TYPES]
    if odd:
        return f"XNNPACK takes no {' or '.join(odd)}"
    return f"XNNPACK refuses it here on {' and '.join(types)} and does not tell why"


def _operators_inside(partition: dict[str, Any], producer: dict[int, dict[str, Any]]) -> set[int]:
    inputs = {int(tensor) for tensor in partition["inputs"]}
    pending = [int(tensor) for tensor in partition["outputs"]]
    inside: set[int] = set()
    while pending:
        tensor = pending.pop()
        op = None if tensor in inputs else producer.get(tensor)
        if op is not None and op["index"] not in inside:
            inside.add(op["index"])
            pending.extend(int(source) for source in op["inputs"])
    return inside
