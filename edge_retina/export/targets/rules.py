"""The kinds of rules that targets are made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection

from edge_retina.export.targets.target import Rule
from edge_retina.runtime.graph import Graph, OperatorInfo, TensorInfo
from edge_retina.runtime.tensor_contract import shape_text


def allowed_operators(text: str, source: str) -> Rule:
    """Allow only the operators of a list.

    Args:
        text: their names, with spaces between.
        source: see `Rule`.
    """
    names = frozenset(text.split())

    def broken_by(graph: Graph, operator: OperatorInfo) -> str:
        known = operator.name in names and not operator.is_custom
        return "" if known else "there is no such operator"

    return Rule("the operators of its list", source, broken_by)


def activation_types(types: Collection[str], source: str) -> Rule:
    """Allow only some types of tensors that are computed."""
    said = " or ".join(types)
    return _of_activations(
        f"activations of {said}",
        source,
        lambda tensor: "" if tensor.dtype in types else f"is {tensor.dtype}",
    )


def most_dimensions(count: int, source: str) -> Rule:
    """Allow tensors of so many dimensions at the most."""
    return _of_activations(
        f"tensors of up to {count} dimensions",
        source,
        lambda tensor: "" if len(tensor.shape) <= count else f"has {len(tensor.shape)}",
    )


def most_wide_dimensions(count: int, source: str) -> Rule:
    """Allow a side above 1 only in the last dimensions."""

    def broken_by(tensor: TensorInfo) -> str:
        outer = tensor.shape[:-count]
        return "" if math.prod(outer) == 1 else f"is {shape_text(tensor.shape)}"

    return _of_activations(
        f"tensors that are wider than 1 in the last {count} dimensions alone", source, broken_by
    )


def one_image(source: str) -> Rule:
    """Allow only a batch of one: the first of four dimensions is 1."""
    return _of_activations(
        "one image at a time",
        source,
        lambda tensor: (
            "" if len(tensor.shape) < 4 or tensor.shape[0] == 1 else f"has {tensor.shape[0]}"
        ),
    )


def static_shapes(source: str) -> Rule:
    """Refuse sides that are left open."""
    return _of_activations(
        "tensors of fixed size",
        source,
        lambda tensor: "" if tensor.is_static else "has a side that is left open",
    )


def longest_side(limit: int, source: str) -> Rule:
    """Allow sides up to a limit."""
    return _of_activations(
        f"sides of up to {limit}",
        source,
        lambda tensor: (
            "" if max(tensor.shape, default=0) <= limit else f"is {shape_text(tensor.shape)}"
        ),
    )


def kernel_sizes(*, height: int, area: int, source: str) -> Rule:
    """Limit the kernels of convolutions.

    Args:
        height: rows, at the most.
        area: rows times columns, at the most.
        source: see `Rule`.
    """

    def broken_by(graph: Graph, operator: OperatorInfo) -> str:
        if operator.name not in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            return ""
        rows, columns = graph.tensors[operator.inputs[1]].shape[1:3]
        fits = rows <= height and rows * columns <= area
        return "" if fits else f"its kernel is {rows}x{columns}"

    return Rule(f"kernels of up to {height} rows and {area} places", source, broken_by)


def scales_of_channels(text: str, source: str) -> Rule:
    """Allow a scale for each channel in some operators only.

    Args:
        text: their names, with spaces between.
        source: see `Rule`.
    """
    names = frozenset(text.split())

    def broken_by(graph: Graph, operator: OperatorInfo) -> str:
        if operator.name in names:
            return ""
        used = (graph.tensors[index] for index in (*operator.inputs, *operator.outputs))
        many = next((len(tensor.scales) for tensor in used if len(tensor.scales) > 1), 0)
        return f"it has {many} scales" if many else ""

    return Rule(f"a scale for each channel in {', '.join(sorted(names))} alone", source, broken_by)


def _of_activations(says: str, source: str, broken_by: Callable[[TensorInfo], str]) -> Rule:
    def of_operator(graph: Graph, operator: OperatorInfo) -> str:
        # What is computed of constants alone, as float32 of float16 weights, is made once
        used = [i for i in (*operator.inputs, *operator.outputs) if i not in graph.constants]
        reasons = ((tensor, broken_by(tensor)) for tensor in map(graph.tensors.__getitem__, used))
        return next((f"'{t.name}' {reason}" for t, reason in reasons if reason), "")

    return Rule(says, source, of_operator)
