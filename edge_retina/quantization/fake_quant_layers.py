"""Layers that compute with fake-quantised numbers.

They do what the wrappers of tensorflow-model-optimization (tfmot) do, and no more than is needed
here. The product trains with tfmot's unless `quantize.engine` says otherwise, see `engines.py`;
tests prove that networks wrapped by either become the same .tflite file.
"""

from __future__ import annotations

from typing import Any, TypeGuard

from edge_retina.layer_names import WRAPPED
from edge_retina.model.keras import keras, tf
from edge_retina.model.keras_internals import replaced
from edge_retina.quantization.kernels import kernel_name, kernel_of
from edge_retina.quantization.quantizers import (
    CalibratedRange,
    FixedRange,
    PerChannelWeights,
    Switchable,
)


class FakeQuantizing:
    """What all code may know of a fake-quantised layer, whoever quantises it.

    Attributes:
        layer: what is wrapped.
        kernel_quantizer: None for a kernel that stays float, and for a layer without one.
        output_quantizer: None for an output that stays float.
        kernel_variables: of the kernel's quantiser; empty without one.
        output_variables: of the output's quantiser; empty without one.
    """

    layer: keras.layers.Layer
    kernel_quantizer: PerChannelWeights | Switchable | None
    output_quantizer: CalibratedRange | Switchable | None
    kernel_variables: dict[str, tf.Variable]
    output_variables: dict[str, tf.Variable]


class FakeQuantized(FakeQuantizing, keras.layers.Wrapper):
    """A layer whose kernel and output are quantised, each if it has a quantiser.

    The layer keeps its float kernel, which is what training changes.
    """

    def __init__(
        self,
        layer: keras.layers.Layer,
        *,
        kernel: PerChannelWeights | Switchable | None = None,
        output: CalibratedRange | Switchable | None = None,
    ) -> None:
        """Wrap a layer that is not used elsewhere."""
        super().__init__(layer, name=f"{WRAPPED}{layer.name}")
        self.kernel_quantizer, self.output_quantizer = kernel, output
        self.kernel_variables = {}
        self.output_variables = {}

    def build(self, input_shape: Any) -> None:
        """Build the layer, then the variables of its quantisers."""
        super().build(input_shape)
        if self.kernel_quantizer is not None:
            shape = kernel_of(self.layer).shape
            self.kernel_variables = self.kernel_quantizer.build(shape, "kernel", self)
        if self.output_quantizer is not None:
            shape = self.layer.compute_output_shape(input_shape)
            self.output_variables = self.output_quantizer.build(shape, "output", self)

    def call(self, inputs: Any, training: bool | None = None) -> tf.Tensor:
        """Return the layer's output; in training ranges may move."""
        return self._fake_quantised(inputs, bool(training))

    @tf.autograph.experimental.do_not_convert
    def _fake_quantised(self, inputs: Any, training: bool) -> tf.Tensor:
        # No branch here depends on a tensor, so AutoGraph would only make tracing slower.
        output = self._computed(inputs, training)
        if self.output_quantizer is None:
            return output
        return self.output_quantizer(output, training, self.output_variables)

    def _computed(self, inputs: Any, training: bool) -> tf.Tensor:
        if self.kernel_quantizer is None:
            return self.layer.call(inputs)
        kernel = self.kernel_quantizer(kernel_of(self.layer), training, self.kernel_variables)
        with replaced(self.layer, kernel_name(self.layer), kernel):
            return self.layer.call(inputs)


class FakeQuantizedInput(keras.layers.Layer):
    """Passes a tensor on as it is with a range that is known beforehand."""

    def __init__(self, quantizer: FixedRange, *, name: str) -> None:
        """`name`: of the layer, and so of the tensor in the file."""
        super().__init__(name=name)
        self.quantizer = quantizer

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return the fake-quantised tensor."""
        return self.quantizer(inputs, False, {})


def is_fake_quantized(layer: keras.layers.Layer) -> TypeGuard[FakeQuantizing]:
    """Whether a layer is a wrapper that quantises, of this package or of tfmot."""
    return isinstance(layer, FakeQuantizing)


def wrappers(model: keras.Model) -> dict[str, FakeQuantizing]:
    """Return the wrappers of a quantised model by the name of the layer inside."""
    return {layer.layer.name: layer for layer in model.layers if is_fake_quantized(layer)}
