"""Class and box heads: convolutions shared over the levels, BatchNorm of each level's own."""

from __future__ import annotations

import math

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
        name: "cls" or "box"; prefix of the layer names.
        channels: width of the tower.
        depth: separable convolutions before the last one.
        outputs_per_anchor: K classes or 4 box codes.
        anchors_per_cell: shapes in a cell.
        output_bias: start value of the last bias.

    Returns:
        For each level, finest first, (B, h * w * anchors_per_cell, outputs_per_anchor).
    """
    tower = [
        separable_layers(channels, name=f"{name}_conv{i}", use_bias=False) for i in range(depth)
    ]
    last = separable_layers(
        anchors_per_cell * outputs_per_anchor,
        name=f"{name}_out",
        use_bias=True,
        kernel_stddev=0.01,
        bias=output_bias,
    )
    outputs = []
    for level, x in sorted(pyramid.items()):
        for i, (depthwise, pointwise) in enumerate(tower):
            x = normalise_and_relu6(pointwise(depthwise(x)), name=f"{name}_p{level}_conv{i}")
        x = last[1](last[0](x))
        shape = (x.shape[1] * x.shape[2] * anchors_per_cell, outputs_per_anchor)
        outputs.append(keras.layers.Reshape(shape, name=f"{name}_p{level}_reshape")(x))
    return outputs


def prior_bias(probability: float) -> float:
    """Return the logit of `probability`, the class head's start (focal loss, section 4.1)."""
    return -math.log((1 - probability) / probability)
