"""What is quantised in which layer, in tfmot's terms."""

from __future__ import annotations

from typing import Any

import tensorflow_model_optimization as tfmot

from edge_retina.model.keras import keras, tf
from edge_retina.quantization.quantizers import CalibratedRange, PerChannelWeights


class LayerQuantization(tfmot.quantization.keras.QuantizeConfig):
    """Quantises a layer's kernel per channel, and its output, each if it should be."""

    def __init__(
        self, *, weights: PerChannelWeights | None, output: CalibratedRange | None
    ) -> None:
        self.weights, self.output = weights, output

    def get_weights_and_quantizers(
        self, layer: keras.layers.Layer
    ) -> list[tuple[tf.Variable, Any]]:
        """Return the kernel with its quantiser."""
        return [(kernel_of(layer), self.weights)] if self.weights else []

    def set_quantize_weights(self, layer: keras.layers.Layer, quantize_weights: list) -> None:
        """Replace the kernel by the fake-quantised one."""
        if self.weights:
            setattr(layer, _kernel_name(layer), quantize_weights[0])

    def get_activations_and_quantizers(self, layer: keras.layers.Layer) -> list:
        """Return nothing: activations are layers of their own in the deploy graph."""
        return []

    def set_quantize_activations(
        self, layer: keras.layers.Layer, quantize_activations: list
    ) -> None:
        """Leave the activations alone, see above."""
        del layer, quantize_activations  # an empty body is more than AutoGraph can parse

    def get_output_quantizers(self, layer: keras.layers.Layer) -> list[CalibratedRange]:
        """Return the output's quantiser."""
        return [self.output] if self.output else []

    def get_config(self) -> dict[str, Any]:
        """Return nothing: a quantised model is rebuilt from its deploy graph."""
        return {}


def kernel_of(layer: keras.layers.Layer) -> tf.Variable:
    """Return the kernel of a convolution or a depthwise convolution."""
    return getattr(layer, _kernel_name(layer))


def channel_axis(layer: keras.layers.Layer) -> int | None:
    """Return the axis of the output channels in a layer's kernel; None for a layer without one."""
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return 2
    return 3 if isinstance(layer, keras.layers.Conv2D) else None


def _kernel_name(layer: keras.layers.Layer) -> str:
    return "depthwise_kernel" if isinstance(layer, keras.layers.DepthwiseConv2D) else "kernel"
