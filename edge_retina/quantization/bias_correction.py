"""Bias correction: take out the shift that rounding the weights gives a layer's output on average.

The rounding error of a kernel, applied to the mean of what goes into the layer, is a constant for
each output channel, so the bias can take it back. Source: Nagel et al. 2019, section 4.2. The means
are measured on calibration images instead of derived from BatchNorm, which is folded by then.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_retina.model.keras import keras, tf
from edge_retina.quantization.kernels import channel_axis
from edge_retina.quantization.quantized_model import QuantizedModel


def correct_biases(
    quantized: QuantizedModel, deploy: keras.Model, batches: Sequence[np.ndarray]
) -> None:
    """Correct the biases of every convolution whose kernel is quantised, in place.

    Padding is not counted: at the border some weights meet zeros instead of the mean.

    Args:
        quantized: built from `deploy`.
        deploy: the float graph.
        batches: normalised images (B, H, W, 3).
    """
    layers = [layer for layer in deploy.layers if channel_axis(layer) is not None]
    means = _input_means(deploy, layers, batches)
    variables = quantized.variables()
    for name, error in quantized.kernel_errors().items():
        layer = deploy.get_layer(name)
        variables[f"{name}/bias"].assign_sub(_shift(error, means[name], layer))


def _shift(error: np.ndarray, mean: np.ndarray, layer: keras.layers.Layer) -> np.ndarray:
    """Return the mean error of each output channel (C,) for input channels' means."""
    taps = error.sum(axis=(0, 1))  # (in, out), or (C, 1) of a depthwise kernel
    return taps[:, 0] * mean if isinstance(layer, keras.layers.DepthwiseConv2D) else mean @ taps


def _input_means(
    deploy: keras.Model, layers: Sequence[keras.layers.Layer], batches: Sequence[np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the mean of each input channel of each layer, by layer name."""
    probe = keras.Model(deploy.inputs, [layer.input for layer in layers])

    @tf.function
    def means(images: tf.Tensor) -> list[tf.Tensor]:
        return [tf.reduce_mean(x, axis=[0, 1, 2]) for x in probe(images, training=False)]

    weights = np.array([len(images) for images in batches], np.float64)
    measured = [means(tf.constant(images)) for images in batches]
    return {
        layer.name: np.average([parts[i] for parts in measured], axis=0, weights=weights)
        for i, layer in enumerate(layers)
    }
