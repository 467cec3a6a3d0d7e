"""Which part of a detector an operator belongs to: by our layers' names, else by structure."""

from __future__ import annotations

from collections.abc import Sequence

from edge_retina.layer_names import (
    BOX_HEAD,
    CLASS_HEAD,
    TOWER,
    is_pyramid_layer,
    layer_of_tensor,
    parse_head_layer,
)
from edge_retina.runtime.graph import Graph, OperatorInfo
from edge_retina.runtime.ops import network_operators

INPUT, BACKBONE, PYRAMID, NETWORK = "input", "backbone", "FPN", "network"
DECODE, NMS = "decode", "NMS"
_HEADS = {CLASS_HEAD: "class head", BOX_HEAD: "box head", TOWER: "shared head"}
# In the order of a picture's way
PARTS = (INPUT, NETWORK, BACKBONE, PYRAMID, *_HEADS.values(), DECODE, NMS)
# Custom operators of this kind: TFLite_Detection_PostProcess, and NMS ones of other exporters
_SUPPRESSION = ("NON_MAX_SUPPRESSION", "POSTPROCESS", "NMS")


def parts_of(graph: Graph) -> tuple[str, ...]:
    """Return the part, one of `PARTS`, of each operator of a graph.

    The network reaches from the first weights to the last. What comes before it prepares the input,
    what comes after it decodes, and from an operator that suppresses on it is `NMS`. The network of
    an exported file of ours is told apart by its layers' names, that of any other file is `NETWORK`
    as a whole.
    """
    links = [(op.name, op.inputs, op.outputs) for op in graph.operators]
    network = network_operators(links)
    layers = [_layer(graph, op) for op in graph.operators]
    is_ours = any(parse_head_layer(layers[place]) for place in network)
    suppressed = _after_suppression(graph.operators)
    behind = _behind(graph.operators, network)
    return tuple(
        _part_of_layer(layer, is_ours=is_ours)
        if place in network
        else NMS
        if place in suppressed
        else DECODE
        if place in behind
        else INPUT
        for place, layer in enumerate(layers)
    )


def _layer(graph: Graph, operator: OperatorInfo) -> str:
    return layer_of_tensor(graph.tensors[operator.outputs[0]].name) if operator.outputs else ""


def _part_of_layer(layer: str, *, is_ours: bool) -> str:
    if not is_ours:
        return NETWORK
    head = parse_head_layer(layer)
    if head is not None:
        return _HEADS[head.head]
    return PYRAMID if is_pyramid_layer(layer) else BACKBONE


def _after_suppression(operators: Sequence[OperatorInfo]) -> set[int]:
    starts = {
        place
        for place, operator in enumerate(operators)
        if any(word in operator.name.upper() for word in _SUPPRESSION)
    }
    return starts | _behind(operators, starts)


def _behind(operators: Sequence[OperatorInfo], starts: set[int]) -> set[int]:
    """Return the places of the operators that use, by any way, what those of `starts` compute."""
    reached: set[int] = set()
    found = set()
    for place, operator in enumerate(operators):
        if not reached.isdisjoint(operator.inputs):
            found.add(place)
        if place in starts or place in found:
            reached.update(operator.outputs)
    return found
