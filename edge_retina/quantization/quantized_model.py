"""The deploy graph with fake quantisation: what PTQ calibrates, QAT trains and export converts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edge_retina.int8.activation_ranges import Range
from edge_retina.int8.recipe import Recipe
from edge_retina.model.keras import keras, tf
from edge_retina.quantization.bias_rounding import round_biases
from edge_retina.quantization.fake_quant_layers import is_fake_quantized, wrappers
from edge_retina.quantization.kernels import channel_axis, kernel_of


@dataclass(frozen=True)
class QuantizedModel:
    """A quantised deploy graph, from `build_quantized_model`.

    Layers are named as in the deploy graph; kernels and biases are `LAYER/kernel`, `LAYER/bias`.

    Attributes:
        model: same inputs and outputs as the deploy graph.
        range_rate: scalar variable; how fast activation ranges follow the data in training.
        recipe: by which it was built.
        switches: by layer that computes something, 1 or 0: whether it is quantised; empty unless
            the model was built to be switched.
        engine: who fake-quantises: "tfmot" or "own".
    """

    model: keras.Model
    range_rate: tf.Variable
    recipe: Recipe
    switches: dict[str, tf.Variable]
    engine: str

    def set_activation_ranges(self, ranges: Mapping[str, Range]) -> None:
        """Set the ranges of every quantised output, by layer."""
        for name, ends in self._range_variables().items():
            for variable, value in zip(ends, ranges[name], strict=True):
                variable.assign(value)

    def activation_ranges(self) -> dict[str, Range]:
        """Return the present ranges, (low, high) by layer; empty if all outputs are float."""
        ranges = self._range_variables()
        return {name: (float(low), float(high)) for name, (low, high) in ranges.items()}

    def _range_variables(self) -> dict[str, tuple[tf.Variable, tf.Variable]]:
        return {
            name: (ends["low"], ends["high"])
            for name, wrapper in wrappers(self.model).items()
            if (ends := wrapper.output_variables)
        }

    def weights(self) -> dict[str, np.ndarray]:
        """Return kernels and biases."""
        return {name: variable.numpy() for name, variable in self.variables().items()}

    def set_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        """Set kernels and biases as returned by `weights`.

        Raises:
            KeyError, ValueError, TypeError: an array is missing, of another shape, or no numbers.
                Nothing was set then.
        """
        assign_all(self.variables(), weights)
        self.refresh_weight_ranges()

    def variables(self) -> dict[str, tf.Variable]:
        """Return the float variables of kernels and biases."""
        variables = {}
        for layer in self.model.layers:
            inner = layer.layer if is_fake_quantized(layer) else layer
            if channel_axis(inner) is None:
                continue
            variables[f"{inner.name}/kernel"] = kernel_of(inner)
            variables[f"{inner.name}/bias"] = inner.bias
        return variables

    def refresh_weight_ranges(self) -> None:
        """Fit every kernel's range to the kernel as it is now.

        In training the range is taken before the optimiser moves the kernel, so the last step
        leaves it one step behind.
        """
        for wrapper in wrappers(self.model).values():
            if wrapper.kernel_quantizer is not None:
                bound = wrapper.kernel_quantizer.bound_of(kernel_of(wrapper.layer))
                wrapper.kernel_variables["bound"].assign(bound)

    def round_biases(self) -> None:
        """Round every bias as the .tflite file does; ranges must be final."""
        round_biases(self.model)

    def kernel_errors(self) -> dict[str, np.ndarray]:
        """Return what quantisation adds to each quantised kernel, by layer."""
        errors = {}
        for name, wrapper in wrappers(self.model).items():
            if wrapper.kernel_quantizer is not None:
                kernel = kernel_of(wrapper.layer)
                rounded = wrapper.kernel_quantizer(kernel, False, wrapper.kernel_variables)
                errors[name] = (rounded - kernel).numpy()
        return errors


def assign_all(variables: Mapping[str, tf.Variable], values: Mapping[str, np.ndarray]) -> None:
    """Give each variable the value of its name, or none of them.

    Raises:
        KeyError, ValueError, TypeError: an array is missing, of another shape, or no numbers.
    """
    checked = {}
    for name, variable in variables.items():
        value = np.asarray(values[name])
        if value.shape != tuple(variable.shape):
            raise ValueError(f"{name} has the shape {value.shape}, not {tuple(variable.shape)}")
        if value.dtype.kind != "f":
            raise TypeError(f"{name} holds {value.dtype}, not floating-point numbers")
        checked[name] = value.astype(np.float32)
    for name, variable in variables.items():
        variable.assign(checked[name])
