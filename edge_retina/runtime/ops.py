"""What a delegate took over of a model's graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ai_edge_litert.interpreter import Interpreter


@dataclass(frozen=True)
class DelegateInfo:
    """How much of the graph runs in a delegate.

    Attributes:
        name: of the delegate, e.g. "xnnpack".
        partitions: pieces of the graph it runs; 1 means that control enters and leaves it once.
        nodes_delegated: operators inside these pieces.
        nodes_total: operators of the graph.
    """

    name: str
    partitions: int
    nodes_delegated: int
    nodes_total: int


def count_delegate_partitions(interpreter: Interpreter, *, name: str = "xnnpack") -> DelegateInfo:
    """Say what the delegate of an interpreter with allocated tensors runs.

    LiteRT keeps the replaced operators in its list and appends one `DELEGATE` operator for each
    partition. It doesn't tell which operators a partition holds, so they are found by walking from
    the partition's outputs back to its inputs.
    """
    # No public call lists the operators of an interpreter
    details = interpreter._get_ops_details()
    partitions = [op for op in details if op["op_name"] == "DELEGATE"]
    operators = [op for op in details if op["op_name"] != "DELEGATE"]
    producer = {int(tensor): op for op in operators for tensor in op["outputs"]}
    delegated: set[int] = set()
    for partition in partitions:
        delegated |= _operators_inside(partition, producer)
    return DelegateInfo(name, len(partitions), len(delegated), len(operators))


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
