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

from edge_retina.int8.recipe import Recipe
from edge_retina.model.keras import keras, tf
from edge_retina.quantization.layer_configs import LayerQuantization, channel_axis, kernel_of
from edge_retina.quantization.quantizers import (
    Calibrated16BitRange,
    CalibratedRange,
    FixedRange,
    PerChannelWeights,
    PerTensorWeights,
    Switchable,
)
from edge_retina.runtime.image import MEAN, STD

# Part of the tensor names in the converted file, by which its layers are found again.
MODEL_NAME, LAYER_PREFIX = "int8", "quant_"
DEFAULT_RECIPE = Recipe()
_WEIGHT_LEVELS = 127  # of int8 weights on either side of 0


@dataclass(frozen=True)
class QuantizedModel:
    """A quantised deploy graph.

    Attributes:
        model: same inputs and outputs as the deploy graph.
        range_rate: scalar variable; how fast activation ranges follow the data in training.
        recipe: by which it was built.
        switches: by layer that computes something, 1 or 0: whether it is quantised; empty unless
            the model was built to be switched.
    """

    model: keras.Model
    range_rate: tf.Variable
    recipe: Recipe
    switches: dict[str, tf.Variable]

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
        for layer in self.model.layers:
            wrapped = isinstance(layer, QuantizeWrapperV2)
            inner = layer.layer if wrapped else layer
            if channel_axis(inner) is None:
                continue
            # The wrapper has put the fake-quantised kernel into the layer; it keeps the variable.
            kept = [kernel for kernel, _, _ in layer._weight_vars] if wrapped else []
            variables[f"{inner.name}/kernel"] = kept[0] if kept else kernel_of(inner)
            variables[f"{inner.name}/bias"] = inner.bias
        return variables

    def refresh_weight_ranges(self) -> None:
        """Fit every kernel's range to the kernel as it is now.

        In training the range is taken before the optimiser moves the kernel, so the last step
        leaves it one step behind.
        """
        for wrapper in self._wrappers():
            for kernel, quantizer, variables in wrapper._weight_vars:
                variables["bound"].assign(quantizer.bound_of(kernel))

    def round_biases(self) -> None:
        """Put every bias onto the grid on which TFLite stores it.

        A bias is an int32 in steps of (input scale x weight scale). Behind a wide input range and
        large weights such a step is a good part of an output step; a bias that isn't rounded here
        makes the simulation differ from the file. Ranges must be final.
        """
        steps = _input_steps(self.model)
        for wrapper in self._wrappers():
            step = steps.get(wrapper.layer.name)
            for _, _, variables in wrapper._weight_vars:
                if step is not None:
                    grid = step * variables["bound"].numpy().astype(np.float64) / _WEIGHT_LEVELS
                    bias = wrapper.layer.bias
                    bias.assign(np.rint(bias.numpy() / grid) * grid)

    def kernel_errors(self) -> dict[str, np.ndarray]:
        """Return what quantisation adds to each kernel that is quantised, by layer name."""
        errors = {}
        for wrapper in self._wrappers():
            for kernel, quantizer, variables in wrapper._weight_vars:
                rounded = quantizer(kernel, False, variables)
                errors[wrapper.layer.name] = (rounded - kernel).numpy()
        return errors

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


def build_quantized_model(
    deploy: keras.Model, recipe: Recipe = DEFAULT_RECIPE, *, switchable: bool = False
) -> QuantizedModel:
    """Wrap every layer of a deploy graph that computes something; weights are copied.

    tfmot's wrapper is used without `quantize_apply`: the deploy graph is already in the form that
    its layout transforms would make, so what is quantised is what is written here.

    Args:
        deploy: from `build_deploy_graph`.
        recipe: what is quantised how.
        switchable: make `switches`, to try what single layers cost; such a model can't be
            converted.

    Raises:
        ConfigError: the recipe names a layer that doesn't exist.
    """
    recipe.check_layers(computing_layers(deploy))
    wrapping = _Wrapping(deploy, recipe, switchable=switchable)
    image = keras.Input(deploy.input_shape[1:], name="image")
    body = keras.models.clone_model(deploy, clone_function=wrapping.wrap)
    outputs = _rewire(body, _quantised_image(image, recipe.activations))
    quantised = QuantizedModel(
        keras.Model(image, outputs, name=MODEL_NAME), wrapping.rate, recipe, wrapping.switches
    )
    quantised.set_weights(
        {
            f"{layer.name}/{part}": value
            for layer in deploy.layers
            for part, value in zip(("kernel", "bias"), layer.get_weights(), strict=False)
        }
    )
    return quantised


def _quantised_image(image: tf.Tensor, activations: str) -> tf.Tensor:
    """Return the image as pixels of 8 bits, so that the file's input is uint8."""
    if activations == "dynamic":
        return image
    # (0 - 128) / 128 .. (255 - 128) / 128: scale 1/128, zero point exactly 128.
    exact = FixedRange(-MEAN / STD, (255 - MEAN) / STD)
    pixels = QuantizeLayer(exact, name="image_quant")(image)
    if activations != "int16":
        return pixels
    return QuantizeLayer(FixedRange(-1.0, 1.0, bits=16), name="image_quant16")(pixels)


class _Wrapping:
    """Gives the layers of a deploy graph their quantisers.

    Attributes:
        rate: of all activation ranges.
        switches: by layer.
    """

    def __init__(self, deploy: keras.Model, recipe: Recipe, *, switchable: bool) -> None:
        self.rate = tf.Variable(0.0, trainable=False, name="range_rate")
        self.switches: dict[str, tf.Variable] = {}
        self._recipe, self._switchable = recipe, switchable
        self._logits = class_logit_layers(deploy)
        self._fused = {x.name: maker.name for x in deploy.layers if (maker := fused_convolution(x))}

    def wrap(self, layer: keras.layers.Layer) -> keras.layers.Layer:
        """Return a copy of a layer, wrapped if anything in it is quantised."""
        if isinstance(layer, keras.layers.InputLayer):
            return layer
        copy = type(layer).from_config(layer.get_config())
        weights, output = self._weights(layer), self._output(layer)
        if weights is None and output is None:
            return copy
        if self._switchable:
            active = self._switch(layer.name)
            weights = Switchable(weights, active) if weights else None
            output = Switchable(output, active) if output else None
        config = LayerQuantization(weights=weights, output=output)
        return QuantizeWrapperV2(copy, config, name_prefix=LAYER_PREFIX)

    def _weights(self, layer: keras.layers.Layer) -> PerChannelWeights | None:
        axis = channel_axis(layer)
        kind = self._recipe.weights_of(layer.name)
        if axis is None or kind == "float" or self._recipe.activations == "dynamic":
            return None
        return PerTensorWeights(axis) if kind == "per-tensor" else PerChannelWeights(axis)

    def _output(self, layer: keras.layers.Layer) -> CalibratedRange | None:
        # What is fused has one output: a rule for the convolution is one for its ReLU.
        names = [layer.name, self._fused.get(layer.name, layer.name)]
        kinds = {self._recipe.activations_of(name) for name in names}
        if not _has_range(layer) or kinds & {"float", "dynamic"}:
            return None
        quantizer = Calibrated16BitRange if "int16" in kinds else CalibratedRange
        is_logit = layer.name in self._logits
        return quantizer(self.rate, fixed_low=is_logit, fixed_high=is_logit)

    def _switch(self, name: str) -> tf.Variable:
        unit = self._fused.get(name, name)
        if unit not in self.switches:
            self.switches[unit] = tf.Variable(1.0, trainable=False, name=f"switch_{unit}")
        return self.switches[unit]


def computing_layers(deploy: keras.Model) -> list[str]:
    """Return the names that a recipe can match: convolutions, ReLUs and additions."""
    return [
        layer.name
        for layer in deploy.layers
        if channel_axis(layer) is not None or _has_range(layer)
    ]


def fused_convolution(layer: keras.layers.Layer) -> keras.layers.Layer | None:
    """Return the convolution that a ReLU is fused with; None if it stands alone."""
    if not isinstance(layer, keras.layers.ReLU):
        return None
    maker = layer.input._keras_history.layer
    return maker if channel_axis(maker) is not None and not _has_range(maker) else None


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


def _input_steps(model: keras.Model) -> dict[str, float]:
    """Return the step of what goes into each wrapped convolution, if that is quantised."""
    steps = {}
    for nodes in model._nodes_by_depth.values():
        for node in nodes:
            if isinstance(node.layer, QuantizeWrapperV2) and channel_axis(node.layer.layer):
                step = _step_of(node.keras_inputs[0])
                if step is not None:
                    steps[node.layer.layer.name] = step
    return steps


def _step_of(tensor: tf.Tensor) -> float | None:
    """Return the step of a tensor's quantisation; None if it is float."""
    layer, index, _ = tensor._keras_history
    if isinstance(layer, QuantizeLayer):
        return layer.quantizer.step
    if isinstance(layer, QuantizeWrapperV2):
        output = layer.quantize_config.output
        return output.step_of(layer._output_quantizer_vars) if output is not None else None
    inputs = layer._inbound_nodes[index].keras_inputs
    # What is neither passes values on: concatenation with itself, reshape, resize.
    is_input = isinstance(layer, keras.layers.InputLayer)
    return None if is_input or channel_axis(layer) else _step_of(inputs[0])


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
