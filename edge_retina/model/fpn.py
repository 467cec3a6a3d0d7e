"""Feature pyramid: the detail of each level's own map and the meaning of the coarser ones."""

from __future__ import annotations

from edge_retina.layer_names import NORM, pyramid_layer
from edge_retina.model.keras import keras, tf
from edge_retina.model.separable import normalise_and_relu6, separable

BACKBONE_TOP = 5


def build_fpn(
    features: dict[int, tf.Tensor], *, channels: int, min_level: int, max_level: int
) -> dict[int, tf.Tensor]:
    """Build the pyramid over backbone features at levels 3, 4, 5.

    Args:
        features: (B, H / 2**l, W / 2**l, C_l) by level l.
        channels: width of every output.
        min_level: finest output level.
        max_level: coarsest; levels above 5 are made by stride-2 convolutions.

    Returns:
        (B, H / 2**l, W / 2**l, channels) by level, after ReLU6.

    Source: Lin et al. 2017, Feature Pyramid Networks. Deviation: separable convolutions, nearest
    up-sampling, and ReLU6 at the end so that int8 ranges are bounded.
    """
    top = min(max_level, BACKBONE_TOP)
    merged: dict[int, tf.Tensor] = {}
    for level in range(top, min_level - 1, -1):
        name = pyramid_layer(level, "lateral")
        lateral = keras.layers.Conv2D(channels, 1, use_bias=False, name=name)(features[level])
        lateral = keras.layers.BatchNormalization(name=name + NORM)(lateral)
        if level < top:
            up = keras.layers.UpSampling2D(2, name=pyramid_layer(level + 1, "up"))
            merge = keras.layers.Add(name=pyramid_layer(level, "merge"))
            lateral = merge([lateral, up(merged[level + 1])])
        merged[level] = lateral
    pyramid = {
        level: _smooth(merged[level], channels, name=pyramid_layer(level, "smooth"))
        for level in range(min_level, top + 1)
    }
    for level in range(top + 1, max_level + 1):
        name = pyramid_layer(level, "down")
        pyramid[level] = _smooth(pyramid[level - 1], channels, name=name, strides=2)
    return pyramid


def _smooth(x: tf.Tensor, channels: int, *, name: str, strides: int = 1) -> tf.Tensor:
    return normalise_and_relu6(separable(x, channels, name=name, strides=strides), name=name)
