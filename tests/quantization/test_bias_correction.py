from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_retina.int8.recipe import LayerRule, Recipe
from edge_retina.runtime.image import normalize

pytestmark = pytest.mark.tf

WEIGHTS_ONLY = Recipe(activations="float")


@pytest.fixture
def deploy() -> Any:
    """1 x 1 convolutions, in which the mean of the input tells the mean of the output."""
    from edge_retina.model.keras import keras

    layers = keras.layers
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 1, name="pointwise")(image)
    x = layers.DepthwiseConv2D(1, name="depthwise")(x)
    x = layers.Conv2D(4, 1, name="last")(x)
    model = keras.Model(image, x)
    rng = np.random.default_rng(0)
    for layer in model.layers[1:]:
        # One large weight a channel makes the steps of the others coarse
        kernel, bias = (rng.normal(0, 0.02, value.shape) for value in layer.get_weights())
        kernel[0, 0, 0] = 3.0
        layer.set_weights([kernel, bias])
    return model


@pytest.fixture
def batches() -> list[np.ndarray]:
    """Bright pictures, so that means are far from 0; in batches of different size."""
    pixels = np.random.default_rng(1).integers(128, 256, (12, 8, 8, 3)).astype(np.uint8)
    images = normalize(pixels)
    return [images[:8], images[8:]]


def mean_error(deploy: Any, quantized: Any, batches: list[np.ndarray]) -> np.ndarray:
    """Mean of simulated less float output, for each output channel."""
    images = np.concatenate(batches)
    return (quantized.model(images) - deploy(images)).numpy().mean(axis=(0, 1, 2))


def test_the_mean_of_the_output_is_that_of_float(deploy: Any, batches: list[np.ndarray]) -> None:
    from edge_retina.quantization.bias_correction import correct_biases
    from edge_retina.quantization.wrapping import build_quantized_model

    quantized = build_quantized_model(deploy, WEIGHTS_ONLY)
    before = np.abs(mean_error(deploy, quantized, batches)).max()
    kernels = {name: value for name, value in quantized.weights().items() if "kernel" in name}
    correct_biases(quantized, deploy, batches)
    after = np.abs(mean_error(deploy, quantized, batches)).max()
    assert before > 1e-3
    assert after < 1e-3 * before
    for name, value in kernels.items():
        np.testing.assert_array_equal(quantized.weights()[name], value)


def test_by_hand(deploy: Any, batches: list[np.ndarray]) -> None:
    from edge_retina.quantization.bias_correction import correct_biases
    from edge_retina.quantization.wrapping import build_quantized_model

    quantized = build_quantized_model(deploy, WEIGHTS_ONLY)
    kernel, bias = deploy.get_layer("pointwise").get_weights()
    step = np.abs(kernel).max(axis=(0, 1, 2)) / 127
    error = (np.rint(kernel / step) * step - kernel)[0, 0]  # (3, 6)
    mean = np.concatenate(batches).mean(axis=(0, 1, 2))
    correct_biases(quantized, deploy, batches)
    found = quantized.weights()["pointwise/bias"]
    np.testing.assert_allclose(found, bias - mean @ error, atol=1e-6)


def test_what_is_not_rounded_is_not_corrected(deploy: Any, batches: list[np.ndarray]) -> None:
    from edge_retina.quantization.bias_correction import correct_biases
    from edge_retina.quantization.wrapping import build_quantized_model

    recipe = Recipe(activations="float", layers=(LayerRule("depthwise", weights="float"),))
    quantized = build_quantized_model(deploy, recipe)
    correct_biases(quantized, deploy, batches)
    weights = quantized.weights()
    for name, moved in (("pointwise", True), ("depthwise", False), ("last", True)):
        bias = deploy.get_layer(name).get_weights()[1]
        assert (not np.array_equal(weights[f"{name}/bias"], bias)) == moved
