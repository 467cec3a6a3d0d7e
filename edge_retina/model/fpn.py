"""Feature pyramid: the detail of each level's own map and the meaning of the coarser ones."""

from __future__ import annotations

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
        lateral = keras.layers.Conv2D(channels, 1, use_bias=False, name=f"p{level}_lateral")(
            features[level]
        )
        lateral = keras.layers.BatchNormalization(name=f"p{level}_lateral_bn")(lateral)
        if level < top:
            above = keras.layers.UpSampling2D(2, name=f"p{level + 1}_up")(merged[level + 1])
            lateral = keras.layers.Add(name=f"p{level}_merge")([lateral, above])
        merged[level] = lateral
    pyramid = {
        level: normalise_and_relu6(
            separable(merged[level], channels, name=f"p{level}_smooth"), name=f"p{level}_smooth"
        )
        for level in range(min_level, top + 1)
    }
    for level in range(top + 1, max_level + 1):
        name = f"p{level}_down"
        pyramid[level] = normalise_and_relu6(
            separable(pyramid[level - 1], channels, name=name, strides=2), name=name
        )
    return pyramid
