"""Class and box heads: convolutions shared over the levels, BatchNorm of each level's own."""

from __future__ import annotations

import math

from edge_retina.layer_names import OUTPUT_BLOCK, RESHAPE, TOWER, HeadLayer, tower_block
from edge_retina.model.keras import keras, tf
from edge_retina.model.separable import normalise_and_relu6, separable_layers


def build_head(
    pyramid: dict[int, tf.Tensor],
    *,
    name: str,
    channels: int,
    depth: int,
    outputs_per_anchor: int,
    anchors_per_cell: int,
    output_bias: float = 0.0,
) -> list[tf.Tensor]:
    """Build one head over all levels.

    Args:
        pyramid: (B, h, w, channels) by level.
        name: `CLASS_HEAD` or `BOX_HEAD`; see `layer_names`.
        channels: width of the tower.
        depth: separable convolutions before the last one.
        outputs_per_anchor: K classes or 4 box codes.
        anchors_per_cell: shapes in a cell.
        output_bias: start value of the last bias.

    Returns:
        For each level, finest first, (B, h * w * anchors_per_cell, outputs_per_anchor).
    """
    tower = _Tower(name, channels, depth)
    last = separable_layers(
        anchors_per_cell * outputs_per_anchor,
        name=HeadLayer(name, OUTPUT_BLOCK).name,
        use_bias=True,
        kernel_stddev=0.01,
        bias=output_bias,
    )
    outputs = []
    for level, x in sorted(pyramid.items()):
        x = last[1](last[0](tower(x, level)))
        shape = (x.shape[1] * x.shape[2] * anchors_per_cell, outputs_per_anchor)
        reshape = keras.layers.Reshape(shape, name=HeadLayer(name, RESHAPE, level).name)
        outputs.append(reshape(x))
    return outputs


def build_shared_tower(
    pyramid: dict[int, tf.Tensor], *, channels: int, depth: int
) -> dict[int, tf.Tensor]:
    """Build the convolutions that both heads share; the heads then have no depth of their own.

    Args:
        pyramid: (B, h, w, channels) by level.
        channels: width of the tower.
        depth: separable convolutions.

    Returns:
        (B, h, w, channels) by level, after ReLU6.
    """
    tower = _Tower(TOWER, channels, depth)
    return {level: tower(x, level) for level, x in sorted(pyramid.items())}


class _Tower:
    """Separable convolutions that all levels share, each with a BatchNorm of the level's own."""

    def __init__(self, name: str, channels: int, depth: int) -> None:
        self._name = name
        self._blocks = {
            block: separable_layers(channels, name=HeadLayer(name, block).name, use_bias=False)
            for block in map(tower_block, range(depth))
        }

    def __call__(self, x: tf.Tensor, level: int) -> tf.Tensor:
        for block, (depthwise, pointwise) in self._blocks.items():
            x = pointwise(depthwise(x))
            x = normalise_and_relu6(x, name=HeadLayer(self._name, block, level).name)
        return x


def prior_bias(probability: float) -> float:
    """Return the logit of `probability`, the class head's start (focal loss, section 4.1)."""
    return -math.log((1 - probability) / probability)
