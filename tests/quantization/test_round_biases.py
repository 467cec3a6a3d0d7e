"""Biases as TFLite stores them: whole numbers of input step x weight step."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

pytestmark = pytest.mark.tf

CONVOLUTIONS = (schema.BuiltinOperator.CONV_2D, schema.BuiltinOperator.DEPTHWISE_CONV_2D)


def biases_in(path: Path) -> dict[str, np.ndarray]:
    """Return the real values of the biases in a file by the name of the convolution's output."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes(), 0))
    (graph,) = model.subgraphs
    found = {}
    for operator in graph.operators:
        if model.operatorCodes[operator.opcodeIndex].builtinCode not in CONVOLUTIONS:
            continue
        image, kernel, bias = (graph.tensors[index] for index in operator.inputs)
        whole = np.asarray(model.buffers[bias.buffer].data, np.uint8).view(np.int32)
        steps = np.float64(image.quantization.scale[0]) * kernel.quantization.scale
        np.testing.assert_allclose(bias.quantization.scale, steps, rtol=1e-5)
        name = graph.tensors[operator.outputs[0]].name.decode()
        found[name.split("/")[1].removeprefix("quant_")] = whole * steps
    return found


def test_the_file_has_the_very_biases_of_the_simulation(
    healthy: SimpleNamespace, healthy_file: Path
) -> None:
    from edge_retina.model.keras_internals import call_of

    stored = biases_in(healthy_file)
    assert set(stored) < set(healthy.ranges)
    for name, values in stored.items():
        layer = healthy.deploy.get_layer(name)
        maker = call_of(layer.input).layer.name if name.endswith("relu") else name
        simulated = healthy.weights[f"{maker}/bias"]
        np.testing.assert_allclose(simulated, values, rtol=1e-4, atol=1e-7, err_msg=name)


def test_rounding_moves_a_bias_by_half_a_step_at_most_and_only_once(
    healthy: SimpleNamespace,
) -> None:
    low, high = healthy.ranges["block_2_add"]
    kernel = healthy.deploy.get_layer("block_3_expand").get_weights()[0]
    step = (high - low) / 255 * np.abs(kernel).max(axis=(0, 1, 2)) / 127
    original = healthy.deploy.get_layer("block_3_expand").get_weights()[1]
    rounded = healthy.weights["block_3_expand/bias"]
    assert (np.abs(rounded - original) <= 0.5001 * step).all()
    assert (rounded != original).any()
    whole = rounded / step
    np.testing.assert_allclose(whole, np.rint(whole), atol=1e-3)

    healthy.quantized.round_biases()
    again = healthy.quantized.weights()
    healthy.restore()
    np.testing.assert_allclose(again["block_3_expand/bias"], rounded, rtol=1e-6)
