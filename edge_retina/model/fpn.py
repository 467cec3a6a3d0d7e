"""Feature pyramid: the detail of each level's own map and the meaning of the coarser ones."""

from __future__ import annotations

from edge_retina.layer_names import NORM, pyramid_layer
from edge_retina.model.keras import keras, tf
from edge_retina.model.separable import normalise_and_relu6, separable
from edge_retina.wirings.wiring import Wiring

BACKBONE_TOP = 5


def build_fpn(
    features: dict[int, tf.Tensor],
    *,
    channels: int,
    min_level: int,
    max_level: int,
    wiring: Wiring,
) -> dict[int, tf.Tensor]:
    """Build the pyramid over backbone features at levels 3, 4, 5.

    Args:
        features: (B, H / 2**l, W / 2**l, C_l) by level l.
        channels: width of every output.
        min_level: finest output level.
        max_level: coarsest; levels above 5 are made by stride-2 convolutions.
        wiring: how the levels are connected.

    Returns:
        (B, H / 2**l, W / 2**l, channels) by level, after ReLU6; without it where `wiring` leaves
        out the 3x3 convolution.

    Source: Lin et al. 2017, Feature Pyramid Networks. Deviation: separable convolutions, nearest
    up-sampling, and ReLU6 at the end so that int8 ranges are bounded.
    """
    top = min(max_level, BACKBONE_TOP)
    merged: dict[int, tf.Tensor] = {}
    pyramid: dict[int, tf.Tensor] = {}

    def finish(level: int) -> None:
        if level < top or wiring.smooths_top:
            name = pyramid_layer(level, "smooth")
            pyramid[level] = _smooth(merged[level], channels, name=name)
        else:
            pyramid[level] = merged[level]

    for level in range(top, min_level - 1, -1):
        lateral = _lateral(features[level], channels, level=level, has_bias=wiring.has_lateral_bias)
        if level < top:
            up = keras.layers.UpSampling2D(2, name=pyramid_layer(level + 1, "up"))
            merge = keras.layers.Add(name=pyramid_layer(level, "merge"))
            coarser = pyramid if wiring.merges_smoothed else merged
            lateral = merge([lateral, up(coarser[level + 1])])
        merged[level] = lateral
        if wiring.merges_smoothed:
            finish(level)
    if not wiring.merges_smoothed:
        for level in range(min_level, top + 1):
            finish(level)
    for level in range(top + 1, max_level + 1):
        name = pyramid_layer(level, "down")
        pyramid[level] = _smooth(pyramid[level - 1], channels, name=name, strides=2)
    return pyramid


def _lateral(x: tf.Tensor, channels: int, *, level: int, has_bias: bool) -> tf.Tensor:
    name = pyramid_layer(level, "lateral")
    x = keras.layers.Conv2D(channels, 1, use_bias=has_bias, name=name)(x)
    return x if has_bias else keras.layers.BatchNormalization(name=name + NORM)(x)


def _smooth(x: tf.Tensor, channels: int, *, name: str, strides: int = 1) -> tf.Tensor:
    return normalise_and_relu6(separable(x, channels, name=name, strides=strides), name=name)
