"""int8 files with random weights, made as exports are: latency does not depend on the weights.

It does depend on how many objects are found. The files find as many as they can: every score is
about .5, so that decoding and NMS get all they are made for, as on a picture full of objects.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.config import Config
from edge_retina.design.grid import Network
from edge_retina.export.artefact import file_content
from edge_retina.layer_names import (
    BOX_HEAD,
    CLASS_HEAD,
    OUTPUT_BLOCK,
    POINTWISE,
    RESHAPE,
    HeadLayer,
)
from edge_retina.model.deploy import build_deploy_graph
from edge_retina.model.keras import keras, tf
from edge_retina.model.retinanet import build_retinanet
from edge_retina.quantization.wrapping import build_quantized_model

_RANGE = (-6.0, 6.0)  # of every activation; their values don't matter
_PRIOR = 0.5


def network_file(network: Network, labels: Sequence[str]) -> bytes:
    """Return the int8 file of a network, as an export of it would be but for the weights.

    Args:
        network: of the grid.
        labels: class names.

    Raises:
        ExportError: the conversion failed.
    """
    config, grid = network.config, network.anchors
    model = dataclasses.replace(config.model, prior_probability=_PRIOR)
    keras.utils.set_random_seed(config.seed)
    built = build_retinanet(model, num_classes=len(labels), anchors=grid)
    return _int8_file(build_deploy_graph(built), config, grid, labels)


def frame_file(network: Network, labels: Sequence[str]) -> bytes:
    """Return the int8 file of a network that is left out but for one 1x1 convolution per output.

    Args:
        network: whose input, anchors and decoding it has.
        labels: class names.

    Raises:
        ExportError: the conversion failed.
    """
    config, grid = network.config, network.anchors
    image = keras.Input((*config.model.image_hw, 3), name="image")
    outputs = [
        _output(image, head, size, level, grid)
        for head, size in ((CLASS_HEAD, len(labels)), (BOX_HEAD, 4))
        for level in grid.levels
    ]
    return _int8_file(keras.Model(image, outputs), config, grid, labels)


def _output(image: tf.Tensor, head: str, size: int, level: int, grid: AnchorGrid) -> tf.Tensor:
    """Return (B, A_l, size) of one head and level, made of every 2**level-th pixel."""
    x = keras.layers.Conv2D(
        grid.per_cell * size,
        1,
        strides=2**level,
        padding="same",
        name=HeadLayer(head, OUTPUT_BLOCK + POINTWISE, level).name,
    )(image)
    name = HeadLayer(head, RESHAPE, level).name
    return keras.layers.Reshape((x.shape[1] * x.shape[2] * grid.per_cell, size), name=name)(x)


def _int8_file(
    deploy: keras.Model, config: Config, grid: AnchorGrid, labels: Sequence[str]
) -> bytes:
    quantized = build_quantized_model(deploy, engine="own")  # nothing is trained: needs no tfmot
    quantized.set_activation_ranges(dict.fromkeys(quantized.activation_ranges(), _RANGE))
    quantized.round_biases()
    return file_content(
        quantized.model,
        "int8",
        grid=grid,
        labels=tuple(labels),
        config=config,
        nms=True,
        uint8_input=True,
    )
