"""The layers that are timed are those that an export has."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from edge_retina.benchmark.operator import ADD, CONV, DEPTHWISE, DOUBLE, Operator
from edge_retina.config import ModelConfig
from edge_retina.design.grid import Network
from edge_retina.design.layers import network_operators, output_operators

pytestmark = pytest.mark.tf


def deployed(model: ModelConfig, per_cell: int, num_classes: int) -> Counter[Operator]:
    """Read the operators off the graph that exports convert, its own copy of every level."""
    from edge_retina.boxes.anchors import AnchorGrid, square_shapes
    from edge_retina.model.deploy import build_deploy_graph
    from edge_retina.model.keras import keras
    from edge_retina.model.retinanet import build_retinanet

    shapes = square_shapes(model.levels, scales=per_cell)
    grid = AnchorGrid(model.image_hw, model.min_level, shapes)
    deploy = build_deploy_graph(build_retinanet(model, num_classes=num_classes, anchors=grid))
    kinds = {keras.layers.DepthwiseConv2D: DEPTHWISE, keras.layers.Conv2D: CONV}
    found: Counter[Operator] = Counter()
    for layer in deploy.layers:
        if type(layer) in kinds:
            _, height, width, channels = layer.input_shape
            kernel, stride = layer.kernel_size[0], layer.strides[0]
            sizes = (height, width, channels, layer.output_shape[-1])
            found[Operator(kinds[type(layer)], *sizes, kernel, stride)] += 1
        elif isinstance(layer, keras.layers.Add):
            found[_plain(ADD, layer.input_shape[0])] += 1
        elif layer.name.endswith("_columns"):
            found[_plain(DOUBLE, layer.input_shape[0])] += 1
    return found


def _plain(kind: str, shape: tuple[Any, ...]) -> Operator:
    return Operator(kind, *shape[1:], shape[3])


@pytest.mark.parametrize(
    "settings, per_cell, num_classes",
    [
        ({"image_hw": (96, 160), "max_level": 6, "head_depth": 1}, 2, 3),  # odd sides at level 6
        ({"image_hw": (128, 128), "min_level": 4, "max_level": 5, "head_depth": 0}, 1, 5),
    ],
)
def test_they_are_those_of_the_deploy_graph(
    settings: dict[str, Any], per_cell: int, num_classes: int
) -> None:
    model = ModelConfig(fpn_channels=16, **settings)
    found = network_operators(model, per_cell=per_cell, num_classes=num_classes)
    assert found == deployed(model, per_cell, num_classes)
    last = output_operators(model, per_cell=per_cell, num_classes=num_classes)
    assert last <= found
    outputs = per_cell * (num_classes + 4)
    cells = Network(_config(model)).anchors.level_counts()
    assert sum(op.macs * count for op, count in last.items()) == 16 * outputs * sum(cells)


def _config(model: ModelConfig) -> Any:
    from edge_retina.config import Config

    return Config(model=model)
