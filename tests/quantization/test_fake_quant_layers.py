"""Our fake-quantised layers beside tfmot's wrapper: same numbers, same gradients, same file."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edge_retina.runtime.image import normalize

pytestmark = pytest.mark.tf


def by_tfmot(quantized: Any) -> Any:
    """Return a copy of a quantised model, every layer of which is wrapped by tfmot."""
    import tensorflow_model_optimization as tfmot

    from edge_retina.layer_names import WRAPPED
    from edge_retina.model.keras import keras
    from edge_retina.model.keras_internals import layer_calls
    from edge_retina.quantization.fake_quant_layers import FakeQuantized, FakeQuantizedInput
    from edge_retina.quantization.kernels import kernel_name, kernel_of

    class Quantizer(tfmot.quantization.keras.quantizers.Quantizer):
        def __init__(self, ours: Any) -> None:
            self.ours = ours
            self.variables: dict[str, Any] = {}

        def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
            self.variables = self.ours.build(tensor_shape, name, layer)
            return self.variables

        def __call__(self, inputs: Any, training: bool, weights: Any, **_: Any) -> Any:
            return self.ours(inputs, training, weights)

        def get_config(self) -> dict[str, Any]:
            return {}

    class Config(tfmot.quantization.keras.QuantizeConfig):
        def __init__(self, ours: FakeQuantized) -> None:
            self.kernel = Quantizer(ours.kernel_quantizer) if ours.kernel_quantizer else None
            self.output = Quantizer(ours.output_quantizer) if ours.output_quantizer else None
            self.variable: Any = None

        def get_weights_and_quantizers(self, layer: Any) -> list:
            if self.kernel is None:
                return []
            self.variable = kernel_of(layer)
            return [(self.variable, self.kernel)]

        def set_quantize_weights(self, layer: Any, quantize_weights: list) -> None:
            if self.kernel is not None:
                setattr(layer, kernel_name(layer), quantize_weights[0])

        def get_activations_and_quantizers(self, layer: Any) -> list:
            return []

        def set_quantize_activations(self, layer: Any, quantize_activations: list) -> None:
            del layer, quantize_activations

        def get_output_quantizers(self, layer: Any) -> list:
            return [self.output] if self.output else []

        def get_config(self) -> dict[str, Any]:
            return {}

    tensors: dict[int, Any] = {}
    variables: dict[str, Any] = {}
    for call in layer_calls(quantized.model):
        layer = call.layer
        if isinstance(layer, keras.layers.InputLayer):
            tensors[id(call.output)] = keras.Input(layer.input_shape[0][1:], name=layer.name)
            continue
        inputs = [tensors[id(tensor)] for tensor in call.inputs]
        inputs = inputs if len(inputs) > 1 else inputs[0]
        if isinstance(layer, FakeQuantized):
            config = Config(layer)
            copy = type(layer.layer).from_config(layer.layer.get_config())
            wrapper = tfmot.quantization.keras.QuantizeWrapperV2(copy, config, name_prefix=WRAPPED)
            tensors[id(call.output)] = wrapper(inputs)
            if config.variable is not None:
                config.variable.assign(kernel_of(layer.layer))
                copy.bias.assign(layer.layer.bias)
                variables[f"{copy.name}/kernel"] = config.variable
                variables[f"{copy.name}/bias"] = copy.bias
            for theirs, ours in (
                (config.kernel, layer.kernel_variables),
                (config.output, layer.output_variables),
            ):
                for name, variable in ours.items():
                    theirs.variables[name].assign(variable)
        elif isinstance(layer, FakeQuantizedInput):
            tensors[id(call.output)] = FakeQuantizedInput(layer.quantizer, name=layer.name)(inputs)
        else:
            tensors[id(call.output)] = type(layer).from_config(layer.get_config())(inputs)
    outputs = [tensors[id(output)] for output in quantized.model.outputs]
    image = tensors[id(quantized.model.inputs[0])]
    model = keras.Model(image, outputs, name=quantized.model.name)
    return SimpleNamespace(model=model, variables=variables)


@pytest.fixture(scope="module")
def theirs(healthy: SimpleNamespace) -> Any:
    healthy.restore()
    healthy.quantized.round_biases()
    return by_tfmot(healthy.quantized)


def test_the_file_is_the_same_byte_for_byte(
    healthy: SimpleNamespace, healthy_file: Any, theirs: Any, to_file: Callable[..., Any]
) -> None:
    assert to_file(theirs).read_bytes() == healthy_file.read_bytes()


def test_outputs_and_gradients_are_the_same(
    healthy: SimpleNamespace, theirs: Any, blurred_pictures: Callable[..., Any]
) -> None:
    """In training too, where ranges move and kernels get new bounds."""
    from edge_retina.model.keras import tf

    images = tf.constant(normalize(blurred_pictures(4, 3)))
    ours = healthy.quantized.variables()
    assert set(ours) == set(theirs.variables)

    def step(model: Any, variables: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        with tf.GradientTape() as tape:
            outputs = model(images, training=True)
            loss = tf.add_n([tf.reduce_sum(tf.square(output)) for output in outputs])
        return outputs, dict(
            zip(variables, tape.gradient(loss, list(variables.values())), strict=True)
        )

    healthy.quantized.range_rate.assign(0.3)  # shared by both: it is the quantisers'
    try:
        (found, gradients), (expected, expected_gradients) = (
            step(healthy.quantized.model, ours),
            step(theirs.model, theirs.variables),
        )
    finally:
        healthy.quantized.range_rate.assign(0.0)
        healthy.restore()
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)
    assert any(np.abs(gradient).max() > 0 for gradient in gradients.values())
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, expected_gradients[name], rtol=1e-5, atol=1e-6)


def test_a_wrapped_layer_keeps_its_float_kernel(healthy: SimpleNamespace) -> None:
    """Also if the layer fails: the fake kernel is there for one call only."""
    from edge_retina.model.keras import tf
    from edge_retina.quantization.fake_quant_layers import wrappers

    wrapper = wrappers(healthy.quantized.model)["block_1_depthwise"]
    kernel = wrapper.layer.depthwise_kernel
    assert isinstance(kernel, tf.Variable)
    with pytest.raises(tf.errors.InvalidArgumentError, match="block_1_depthwise"):
        wrapper(tf.zeros((1, 8, 8, 3)))
    assert wrapper.layer.depthwise_kernel is kernel
    assert any(kernel is weight for weight in wrapper.trainable_weights)
