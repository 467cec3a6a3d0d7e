"""Layers that tensorflow-model-optimization (tfmot) fake-quantises, with the quantisers from here.

The only module that imports tfmot, and imported only if `quantize.engine` is "tfmot".
"""

from __future__ import annotations

from typing import Any

# First: it makes tfmot work on Keras 2.
from edge_retina.model.keras import keras, tf

# isort: split

import tensorflow_model_optimization as tfmot

from edge_retina.layer_names import WRAPPED
from edge_retina.model.keras_internals import replaced
from edge_retina.quantization.fake_quant_layers import FakeQuantizing
from edge_retina.quantization.kernels import kernel_name, kernel_of
from edge_retina.quantization.quantizers import CalibratedRange, PerChannelWeights, Switchable

_Wrapper: Any = tfmot.quantization.keras.QuantizeWrapperV2


class FakeQuantizedByTfmot(FakeQuantizing, _Wrapper):
    """tfmot's wrapper, with the attributes of `FakeQuantized`.

    Like there, the layer inside keeps its float kernel.
    """

    def __init__(
        self,
        layer: keras.layers.Layer,
        *,
        kernel: PerChannelWeights | Switchable | None = None,
        output: CalibratedRange | Switchable | None = None,
    ) -> None:
        """Wrap a layer that is not used elsewhere."""
        config = _LayerQuantization(_of_tfmot(kernel), _of_tfmot(output))
        super().__init__(layer, config, name_prefix=WRAPPED)
        self.kernel_quantizer, self.output_quantizer = kernel, output
        self.kernel_variables = {}
        self.output_variables = {}

    def build(self, input_shape: Any) -> None:
        """Build the layer, then the variables of its quantisers."""
        super().build(input_shape)
        config = self.quantize_config
        if config.kernel is not None:
            self.kernel_variables = config.kernel.variables
        if config.output is not None:
            self.output_variables = config.output.variables

    def call(self, inputs: Any, training: bool | None = None) -> tf.Tensor:
        """Return the layer's output; in training ranges may move.

        tfmot leaves the fake-quantised kernel in the layer. Here the float one is put back.
        """
        return self._fake_quantised(inputs, bool(training))

    @tf.autograph.experimental.do_not_convert
    def _fake_quantised(self, inputs: Any, training: bool) -> tf.Tensor:
        # No branch here depends on a tensor, so AutoGraph would only make tracing slower.
        if self.kernel_quantizer is None:
            return _Wrapper.call(self, inputs, training=training)
        with replaced(self.layer, kernel_name(self.layer), kernel_of(self.layer)):
            return _Wrapper.call(self, inputs, training=training)


class _TfmotQuantizer(tfmot.quantization.keras.quantizers.Quantizer):
    """A quantiser of this package as one of tfmot.

    Attributes:
        variables: of the quantiser, once they are built.
    """

    def __init__(self, quantizer: PerChannelWeights | CalibratedRange | Switchable) -> None:
        self._quantizer = quantizer
        self.variables: dict[str, tf.Variable] = {}

    def build(
        self, tensor_shape: Any, name: str, layer: keras.layers.Layer
    ) -> dict[str, tf.Variable]:
        """Create the quantiser's variables."""
        self.variables = self._quantizer.build(tensor_shape, name, layer)
        return self.variables

    def __call__(
        self, inputs: tf.Tensor, training: bool, weights: dict[str, tf.Variable], **_: Any
    ) -> tf.Tensor:
        """Return the fake-quantised tensor."""
        return self._quantizer(inputs, training, weights)

    def get_config(self) -> dict[str, Any]:
        """Return nothing: a quantised model is rebuilt from its deploy graph."""
        return {}


class _LayerQuantization(tfmot.quantization.keras.QuantizeConfig):
    """Tells tfmot what is quantised in a layer: the kernel and the output, each if it should be."""

    def __init__(self, kernel: _TfmotQuantizer | None, output: _TfmotQuantizer | None) -> None:
        self.kernel, self.output = kernel, output

    def get_weights_and_quantizers(
        self, layer: keras.layers.Layer
    ) -> list[tuple[tf.Variable, _TfmotQuantizer]]:
        """Return the kernel with its quantiser."""
        return [(kernel_of(layer), self.kernel)] if self.kernel else []

    def set_quantize_weights(self, layer: keras.layers.Layer, quantize_weights: list) -> None:
        """Let the layer compute with the fake-quantised kernel."""
        if self.kernel:
            # Keras' own way to set an attribute would make it forget the variable.
            object.__setattr__(layer, kernel_name(layer), quantize_weights[0])

    def get_activations_and_quantizers(self, layer: keras.layers.Layer) -> list:
        """Return nothing: activations are layers of their own in the deploy graph."""
        return []

    def set_quantize_activations(
        self, layer: keras.layers.Layer, quantize_activations: list
    ) -> None:
        """Leave the activations alone, see above."""

    def get_output_quantizers(self, layer: keras.layers.Layer) -> list[_TfmotQuantizer]:
        """Return the output's quantiser."""
        return [self.output] if self.output else []

    def get_config(self) -> dict[str, Any]:
        """Return nothing: a quantised model is rebuilt from its deploy graph."""
        return {}


def _of_tfmot(
    quantizer: PerChannelWeights | CalibratedRange | Switchable | None,
) -> _TfmotQuantizer | None:
    return None if quantizer is None else _TfmotQuantizer(quantizer)
