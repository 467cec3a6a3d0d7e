"""Separable convolution as two plain layers, so that each can be folded, quantised and named."""

from __future__ import annotations

from edge_retina.layer_names import DEPTHWISE, NORM, POINTWISE, RELU
from edge_retina.model.keras import keras, tf


def separable_layers(
    filters: int,
    *,
    name: str,
    use_bias: bool,
    strides: int = 1,
    kernel_stddev: float | None = None,
    bias: float = 0.0,
) -> tuple[keras.layers.Layer, keras.layers.Layer]:
    """Return a 3x3 depthwise (`NAME_dw`) and a 1x1 layer (`NAME_pw`).

    They may be called on several levels.

    Args:
        filters: output channels.
        name: prefix of both layer names.
        use_bias: of the pointwise layer; the depthwise one never has one.
        strides: of the depthwise layer.
        kernel_stddev: start values of the pointwise kernel; None for He's.
        bias: start value of the pointwise bias.
    """
    kernel: keras.initializers.Initializer = keras.initializers.HeNormal()
    if kernel_stddev is not None:
        kernel = keras.initializers.RandomNormal(stddev=kernel_stddev)
    depthwise = keras.layers.DepthwiseConv2D(
        3, strides=strides, padding="same", use_bias=False, name=name + DEPTHWISE
    )
    pointwise = keras.layers.Conv2D(
        filters,
        1,
        use_bias=use_bias,
        kernel_initializer=kernel,
        bias_initializer=keras.initializers.Constant(bias),
        name=name + POINTWISE,
    )
    return depthwise, pointwise


def normalise(x: tf.Tensor, *, name: str) -> tf.Tensor:
    """Apply BatchNorm (`NAME_bn`)."""
    return keras.layers.BatchNormalization(momentum=0.99, name=name + NORM)(x)


def normalise_and_relu6(x: tf.Tensor, *, name: str) -> tf.Tensor:
    """Apply BatchNorm (`NAME_bn`) and ReLU6 (`NAME_relu`)."""
    return keras.layers.ReLU(6.0, name=name + RELU)(normalise(x, name=name))
