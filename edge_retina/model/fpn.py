"""Feature pyramid: the detail of each level's own map and the meaning of the coarser ones."""

from __future__ import annotations

from edge_retina.layer_names import NORM, RELU, pyramid_layer
from edge_retina.model.keras import keras, tf
from edge_retina.model.separable import normalise, normalise_and_relu6, separable_layers
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
        (B, H / 2**l, W / 2**l, channels) by level, after ReLU6, unless `wiring` leaves it out.

    Source: Lin et al. 2017, Feature Pyramid Networks. Deviation: separable convolutions, nearest
    up-sampling, and ReLU6 at the end so that int8 ranges are bounded.
    """
    top = min(max_level, BACKBONE_TOP)
    levels = _Levels(channels, coarse=range(top, max_level), wiring=wiring)
    merged: dict[int, tf.Tensor] = {}
    for level in range(top, min_level - 1, -1):
        x = _lateral(features[level], channels, level=level, has_bias=wiring.has_lateral_bias)
        if level < top:
            up = keras.layers.UpSampling2D(2, name=pyramid_layer(level + 1, "up"))
            merge = keras.layers.Add(name=pyramid_layer(level, "merge"))
            coarser = levels.maps if wiring.merges_smoothed else merged
            x = merge([x, up(coarser[level + 1])])
        merged[level] = x
        if wiring.merges_smoothed:
            levels.finish(level, x, is_smoothed=level < top or wiring.smooths_top)
    if not wiring.merges_smoothed:
        for level in range(min_level, top + 1):
            levels.finish(level, merged[level], is_smoothed=level < top or wiring.smooths_top)
    for level in range(top + 1, max_level + 1):
        levels.coarsen(level)
    return levels.maps


class _Levels:
    """The levels of a pyramid, which end with a 3x3 convolution as a rule.

    Attributes:
        maps: what they are, by level.
    """

    def __init__(self, channels: int, *, coarse: range, wiring: Wiring) -> None:
        """Take the width, the levels that coarser ones are made of, and the wiring."""
        self._channels, self._coarse, self._wiring = channels, coarse, wiring
        self.maps: dict[int, tf.Tensor] = {}
        self._raw: dict[int, tf.Tensor] = {}  # before BatchNorm

    def finish(self, level: int, x: tf.Tensor, *, is_smoothed: bool) -> None:
        """Make a level of what the backbone and coarser levels gave it."""
        if is_smoothed:
            self._convolve(level, x, part="smooth")
        else:
            self.maps[level] = x

    def coarsen(self, level: int) -> None:
        """Make a level of the next finer one."""
        if not self._wiring.coarsens_before_norm:
            finer = self.maps[level - 1]
        else:
            finer = self._raw[level - 1]
            if level - 1 > self._coarse.start:
                relu = pyramid_layer(level - 1, "coarse") + RELU
                finer = keras.layers.ReLU(6.0, name=relu)(finer)
        self._convolve(level, finer, part="down", strides=2)

    def _convolve(self, level: int, x: tf.Tensor, *, part: str, strides: int = 1) -> None:
        name = pyramid_layer(level, part)
        depthwise, pointwise = separable_layers(
            self._channels, name=name, strides=strides, use_bias=False
        )
        x = depthwise(x)
        finish = normalise_and_relu6 if self._wiring.has_final_activation else normalise
        self.maps[level] = finish(pointwise(x), name=name)
        if self._wiring.coarsens_before_norm and level in self._coarse:
            # A convolution of its own, because the other one is folded with its BatchNorm.
            name = pyramid_layer(level, "coarse")
            self._raw[level] = keras.layers.Conv2D(self._channels, 1, name=name)(x)


def _lateral(x: tf.Tensor, channels: int, *, level: int, has_bias: bool) -> tf.Tensor:
    name = pyramid_layer(level, "lateral")
    x = keras.layers.Conv2D(channels, 1, use_bias=has_bias, name=name)(x)
    return x if has_bias else keras.layers.BatchNormalization(name=name + NORM)(x)
