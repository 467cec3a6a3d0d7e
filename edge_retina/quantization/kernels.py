"""The kernels of convolutions, whatever Keras calls them."""

from __future__ import annotations

from edge_retina.model.keras import keras, tf


def kernel_of(layer: keras.layers.Layer) -> tf.Variable:
    """Return the kernel of a convolution or a depthwise convolution."""
    return getattr(layer, kernel_name(layer))


def kernel_name(layer: keras.layers.Layer) -> str:
    """Return the attribute that holds the kernel of such a layer."""
    return "depthwise_kernel" if isinstance(layer, keras.layers.DepthwiseConv2D) else "kernel"


def channel_axis(layer: keras.layers.Layer) -> int | None:
    """Return the axis of the output channels in a layer's kernel; None for a layer without one."""
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return 2
    return 3 if isinstance(layer, keras.layers.Conv2D) else None
