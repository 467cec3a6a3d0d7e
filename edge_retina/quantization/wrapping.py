"""From a deploy graph to a quantised model: every layer is wrapped as the recipe says.

The deploy graph is already in the form that tfmot's layout transforms would make, so what is
quantised is what is written here.
"""

from __future__ import annotations

from collections.abc import Callable

from edge_retina.config import QuantizeConfig
from edge_retina.int8.recipe import Recipe
from edge_retina.layer_names import INT8_MODEL
from edge_retina.model.keras import keras, tf
from edge_retina.model.keras_internals import layer_calls
from edge_retina.quantization.engines import Wrap, wrap_of
from edge_retina.quantization.fake_quant_layers import FakeQuantizedInput
from edge_retina.quantization.fusion import (
    class_logit_layers,
    computing_layers,
    fused_convolution,
    has_range,
)
from edge_retina.quantization.kernels import channel_axis
from edge_retina.quantization.quantized_model import QuantizedModel
from edge_retina.quantization.quantizers import (
    Calibrated16BitRange,
    CalibratedRange,
    FixedRange,
    PerChannelWeights,
    PerTensorWeights,
    Switchable,
)
from edge_retina.runtime.image import MEAN, STD

DEFAULT_RECIPE = Recipe()


def build_quantized_model(
    deploy: keras.Model,
    recipe: Recipe = DEFAULT_RECIPE,
    *,
    switchable: bool = False,
    engine: str = QuantizeConfig.engine,
) -> QuantizedModel:
    """Wrap every layer of a deploy graph that computes something; weights are copied.

    Args:
        deploy: from `build_deploy_graph`.
        recipe: what is quantised how.
        switchable: make `switches`, to try what single layers cost; such a model can't be
            converted.
        engine: who fake-quantises, as in the config.

    Raises:
        ConfigError: the recipe names a layer that doesn't exist, or the engine is not installed.
    """
    recipe.check_layers(computing_layers(deploy))
    wrapping = _Wrapping(deploy, recipe, switchable=switchable, wrap=wrap_of(engine))
    image = keras.Input(deploy.input_shape[1:], name="image")
    outputs = _rebuild(deploy, _quantised_image(image, recipe.activations), wrapping.wrap)
    quantised = QuantizedModel(
        keras.Model(image, outputs, name=INT8_MODEL),
        wrapping.rate,
        recipe,
        wrapping.switches,
        engine,
    )
    quantised.set_weights(
        {
            f"{layer.name}/{part}": value
            for layer in deploy.layers
            for part, value in zip(("kernel", "bias"), layer.get_weights(), strict=False)
        }
    )
    return quantised


class _Wrapping:
    """Gives the layers of a deploy graph their quantisers.

    Attributes:
        rate: of all activation ranges.
        switches: by layer.
    """

    def __init__(
        self, deploy: keras.Model, recipe: Recipe, *, switchable: bool, wrap: Wrap
    ) -> None:
        self.rate = tf.Variable(0.0, trainable=False, name="range_rate")
        self.switches: dict[str, tf.Variable] = {}
        self._recipe, self._switchable, self._wrap = recipe, switchable, wrap
        self._logits = class_logit_layers(deploy)
        self._fused = {x.name: maker.name for x in deploy.layers if (maker := fused_convolution(x))}

    def wrap(self, layer: keras.layers.Layer) -> keras.layers.Layer:
        """Return a copy of a layer, wrapped if anything in it is quantised."""
        copy = type(layer).from_config(layer.get_config())
        weights: PerChannelWeights | Switchable | None = self._weights(layer)
        output: CalibratedRange | Switchable | None = self._output(layer)
        if weights is None and output is None:
            return copy
        if self._switchable:
            active = self._switch(layer.name)
            weights = Switchable(weights, active) if weights else None
            output = Switchable(output, active) if output else None
        return self._wrap(copy, kernel=weights, output=output)

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
        if not has_range(layer) or kinds & {"float", "dynamic"}:
            return None
        quantizer = Calibrated16BitRange if "int16" in kinds else CalibratedRange
        # Both ends of the class logits' range are chosen (`ranges.py`), not measured: they stay.
        is_logit = layer.name in self._logits
        return quantizer(self.rate, fixed_low=is_logit, fixed_high=is_logit)

    def _switch(self, name: str) -> tf.Variable:
        unit = self._fused.get(name, name)
        if unit not in self.switches:
            self.switches[unit] = tf.Variable(1.0, trainable=False, name=f"switch_{unit}")
        return self.switches[unit]


def _quantised_image(image: tf.Tensor, activations: str) -> tf.Tensor:
    """Return the image as pixels of 8 bits, so that the file's input is uint8."""
    if activations == "dynamic":
        return image
    # (0 - 128) / 128 .. (255 - 128) / 128: scale 1/128, zero point exactly 128.
    exact = FixedRange(-MEAN / STD, (255 - MEAN) / STD)
    pixels = FakeQuantizedInput(exact, name="image_quant")(image)
    if activations != "int16":
        return pixels
    return FakeQuantizedInput(FixedRange(-1.0, 1.0, bits=16), name="image_quant16")(pixels)


def _rebuild(
    deploy: keras.Model,
    image: tf.Tensor,
    wrap: Callable[[keras.layers.Layer], keras.layers.Layer],
) -> list[tf.Tensor]:
    """Call the copies of a deploy graph's layers on another input; return the outputs.

    `clone_model` would call every layer once before, on an input that is not the image.
    """
    tensors = {id(deploy.inputs[0]): image}
    copies: dict[str, keras.layers.Layer] = {}
    for call in layer_calls(deploy):
        if isinstance(call.layer, keras.layers.InputLayer):
            continue
        if call.layer.name not in copies:
            copies[call.layer.name] = wrap(call.layer)
        inputs = [tensors[id(tensor)] for tensor in call.inputs]
        copy = copies[call.layer.name]
        tensors[id(call.output)] = copy(inputs if len(inputs) > 1 else inputs[0])
    return [tensors[id(output)] for output in deploy.outputs]
