"""Biases on the grid on which TFLite stores them.

A bias is an int32 in steps of (input scale x weight scale). Behind a wide input range and large
weights such a step is a good part of an output step; a bias that isn't rounded here makes the
simulation differ from the file.
"""

from __future__ import annotations

import numpy as np

from edge_retina.model.keras import keras, tf
from edge_retina.model.keras_internals import call_of, layer_calls
from edge_retina.quantization.fake_quant_layers import FakeQuantizedInput, is_fake_quantized
from edge_retina.quantization.kernels import channel_axis

_WEIGHT_LEVELS = 127  # of int8 weights on either side of 0


def round_biases(model: keras.Model) -> None:
    """Round every bias of a quantised model, in place; its ranges must be final.

    A layer whose kernel or input is float is left alone.
    """
    for call in layer_calls(model):
        wrapper = call.layer
        if not is_fake_quantized(wrapper) or channel_axis(wrapper.layer) is None:
            continue
        step = _step_of(call.inputs[0])
        if step is None or wrapper.kernel_quantizer is None:
            continue
        bound = wrapper.kernel_variables["bound"].numpy().astype(np.float64)
        grid = step * bound / _WEIGHT_LEVELS
        bias = wrapper.layer.bias
        bias.assign(np.rint(bias.numpy() / grid) * grid)


def _step_of(tensor: tf.Tensor) -> float | None:
    """Return the step of a tensor's quantisation; None if it is float."""
    call = call_of(tensor)
    layer = call.layer
    if isinstance(layer, FakeQuantizedInput):
        return layer.quantizer.step
    if is_fake_quantized(layer):
        output = layer.output_quantizer
        return output.step_of(layer.output_variables) if output is not None else None
    if isinstance(layer, keras.layers.InputLayer) or channel_axis(layer) is not None:
        return None
    # What is neither passes values on: concatenation with itself, reshape, resize.
    return _step_of(call.inputs[0])
