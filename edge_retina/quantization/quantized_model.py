"""The deploy graph with fake quantisation: what PTQ calibrates, QAT trains and export converts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from tensorflow_model_optimization.python.core.quantization.keras.quantize_layer import (
    QuantizeLayer,
)
from tensorflow_model_optimization.python.core.quantization.keras.quantize_wrapper import (
    QuantizeWrapperV2,
)

from edge_retina.model.keras import keras, tf
from edge_retina.quantization.layer_configs import LayerQuantization, channel_axis
from edge_retina.quantization.quantizers import CalibratedRange, FixedRange, PerChannelWeights
from edge_retina.runtime.image import MEAN, STD

_PREFIX = "quant_"


@dataclass(frozen=True)
class QuantizedModel:
    """A quantised deploy graph.

    Attributes:
        model: same inputs and outputs as the deploy graph.
        range_rate: scalar variable; how fast activation ranges follow the data in training.
    """

    model: keras.Model
    range_rate: tf.Variable

    def set_activation_ranges(self, ranges: dict[str, tuple[float, float]]) -> None:
        """Set the ranges of every quantised output, by deploy layer name."""
        for wrapper in self._wrappers():
            if wrapper.quantize_config.output is not None:
                low, high = ranges[wrapper.layer.name]
                wrapper._output_quantizer_vars["low"].assign(low)
                wrapper._output_quantizer_vars["high"].assign(high)

    def activation_ranges(self) -> dict[str, tuple[float, float]]:
        """Return the present ranges by deploy layer name."""
        return {
            wrapper.layer.name: (
                float(wrapper._output_quantizer_vars["low"]),
                float(wrapper._output_quantizer_vars["high"]),
            )
            for wrapper in self._wrappers()
            if wrapper.quantize_config.output is not None
        }

    def weights(self) -> dict[str, np.ndarray]:
        """Return kernels and biases as `LAYER/kernel` and `LAYER/bias`, by deploy layer name."""
        return {name: variable.numpy() for name, variable in self.variables().items()}

    def set_weights(self, weights: dict[str, np.ndarray]) -> None:
        """Set kernels and biases as returned by `weights`."""
        for name, variable in self.variables().items():
            variable.assign(weights[name])
        self.refresh_weight_ranges()

    def variables(self) -> dict[str, tf.Variable]:
        """Return the variables of kernels and biases, by the names of `weights`."""
        variables = {}
        for wrapper in self._wrappers():
            # The wrapper has put the fake-quantised kernel into the layer; it keeps the variable.
            for kernel, _, _ in wrapper._weight_vars:
                variables[f"{wrapper.layer.name}/kernel"] = kernel
                variables[f"{wrapper.layer.name}/bias"] = wrapper.layer.bias
        return variables

    def refresh_weight_ranges(self) -> None:
        """Fit every kernel's range to the kernel as it is now.

        In training the range is taken before the optimiser moves the kernel, so the last step
        leaves it one step behind.
        """
        for wrapper in self._wrappers():
            for kernel, quantizer, variables in wrapper._weight_vars:
                variables["bound"].assign(quantizer.bound_of(kernel))

    def _wrappers(self) -> list[QuantizeWrapperV2]:
        return [layer for layer in self.model.layers if isinstance(layer, QuantizeWrapperV2)]


def quantized_outputs(deploy: keras.Model) -> list[str]:
    """Return the names of the layers whose outputs are quantised.

    A convolution before a ReLU6 is fused with it and has no range of its own; resizing and
    reshaping keep the range of their input.
    """
    return [layer.name for layer in deploy.layers if _has_range(layer)]


def class_logit_layers(deploy: keras.Model) -> set[str]:
    """Return the names of the layers that make the class logits."""
    return {
        layer.name
        for layer in deploy.layers
        if layer.name.startswith("cls_") and layer.name.endswith("_out_pw")
    }


def build_quantized_model(deploy: keras.Model) -> QuantizedModel:
    """Wrap every layer of a deploy graph that computes something; weights are copied.

    tfmot's wrapper is used without `quantize_apply`: the deploy graph is already in the form that
    its layout transforms would make, so what is quantised is what is written here.
    """
    rate = tf.Variable(0.0, trainable=False, name="range_rate")
    logits = class_logit_layers(deploy)

    def wrap(layer: keras.layers.Layer) -> keras.layers.Layer:
        if isinstance(layer, keras.layers.InputLayer):
            return layer
        copy = type(layer).from_config(layer.get_config())
        axis = channel_axis(layer)
        output = (
            CalibratedRange(rate, fixed_low=layer.name in logits) if _has_range(layer) else None
        )
        if axis is None and output is None:
            return copy
        weights = PerChannelWeights(axis) if axis is not None else None
        config = LayerQuantization(weights=weights, output=output)
        return QuantizeWrapperV2(copy, config, name_prefix=_PREFIX)

    image = keras.Input(deploy.input_shape[1:], name="image")
    # (0 - 128) / 128 .. (255 - 128) / 128: scale 1/128, zero point exactly 128.
    exact = FixedRange(-MEAN / STD, (255 - MEAN) / STD)
    quantised_image = QuantizeLayer(exact, name="image_quant")(image)
    body = keras.models.clone_model(deploy, clone_function=wrap)
    quantised = QuantizedModel(
        keras.Model(image, _rewire(body, quantised_image), name="int8"), rate
    )
    quantised.set_weights(
        {
            f"{layer.name}/{part}": value
            for layer in deploy.layers
            for part, value in zip(("kernel", "bias"), layer.get_weights(), strict=False)
        }
    )
    return quantised


def logit_floor(score_threshold: float) -> float:
    """Return the lowest class logit worth telling apart.

    A logit under the score threshold never becomes a detection, however far under it is. Cutting
    the range half a unit below spends the 256 levels on scores that count.
    """
    threshold = min(max(score_threshold, 1e-3), 0.5)
    return math.log(threshold / (1 - threshold)) - 0.5


def _has_range(layer: keras.layers.Layer) -> bool:
    if isinstance(layer, (keras.layers.ReLU, keras.layers.Add)):
        return True
    if channel_axis(layer) is None:
        return False
    users = [node.layer for node in layer._outbound_nodes]
    return not (len(users) == 1 and isinstance(users[0], keras.layers.ReLU))


def _rewire(body: keras.Model, image: tf.Tensor) -> list[tf.Tensor]:
    """Call the layers of `body` one by one on another input, so that the result is flat."""
    tensors = {id(body.inputs[0]): image}
    for depth in sorted(body._nodes_by_depth, reverse=True):
        for node in body._nodes_by_depth[depth]:
            if isinstance(node.layer, keras.layers.InputLayer):
                continue
            inputs = [tensors[id(tensor)] for tensor in node.keras_inputs]
            tensors[id(node.outputs)] = node.layer(inputs if len(inputs) > 1 else inputs[0])
    return [tensors[id(output)] for output in body.outputs]
