from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edge_retina.runtime.image import normalize

pytestmark = pytest.mark.tf


def largest(kernel: np.ndarray, axis: int) -> np.ndarray:
    """Largest weight of each channel along `axis`."""
    return np.abs(np.moveaxis(kernel, axis, 0)).reshape(kernel.shape[axis], -1).max(axis=1)


def chain(*, max_value: float | None, second_user: bool = False) -> Any:
    """A picture through a convolution, a ReLU, a depthwise one and a convolution."""
    from edge_retina.model.keras import keras

    layers = keras.layers
    keras.utils.set_random_seed(0)
    settings = {"padding": "same", "bias_initializer": "random_uniform"}
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, name="first", **settings)(image)
    x = between = layers.ReLU(max_value, name="relu")(x)
    x = layers.DepthwiseConv2D(3, name="dw", **settings)(x)
    x = layers.Conv2D(5, 1, name="last", **settings)(x)
    outputs = [x, layers.Conv2D(2, 1, name="other")(between)] if second_user else x
    return keras.Model(image, outputs)


def kernels(model: Any) -> dict[str, np.ndarray]:
    return {layer.name: layer.get_weights()[0] for layer in model.layers if layer.get_weights()}


def scale_channel(model: Any, name: str, channel: int, factor: float) -> None:
    kernel, bias = model.get_layer(name).get_weights()
    kernel[..., channel] *= factor
    bias[channel] *= factor
    model.get_layer(name).set_weights([kernel, bias])


def images(count: int = 2) -> np.ndarray:
    return np.random.default_rng(1).uniform(-1, 1, (count, 8, 8, 3)).astype(np.float32)


def test_neighbours_get_equal_channels_and_compute_the_same() -> None:
    from edge_retina.quantization.equalization import equalize

    model = chain(max_value=None)
    scale_channel(model, "first", 1, 1000)
    scale_channel(model, "first", 2, 0.01)
    before = model(images()).numpy()
    assert equalize(model) == 2
    after = kernels(model)
    np.testing.assert_allclose(largest(after["first"], 3), largest(after["dw"], 2), rtol=1e-3)
    np.testing.assert_allclose(largest(after["dw"], 2), largest(after["last"], 2), rtol=1e-3)
    np.testing.assert_allclose(model(images()), before, rtol=1e-4, atol=1e-4 * np.abs(before).max())


def test_relu6_is_no_place_to_scale() -> None:
    from edge_retina.quantization.equalization import equalize

    model = chain(max_value=6.0)
    scale_channel(model, "first", 1, 1000)
    before = kernels(model)
    assert equalize(model) == 1  # depthwise and pointwise have nothing between them
    after = kernels(model)
    np.testing.assert_array_equal(after["first"], before["first"])
    np.testing.assert_allclose(largest(after["dw"], 2), largest(after["last"], 2), rtol=1e-5)


def test_an_output_with_two_users_is_left_alone() -> None:
    from edge_retina.quantization.equalization import equalize

    model = chain(max_value=None, second_user=True)
    before = kernels(model)
    assert equalize(model) == 1
    after = kernels(model)
    np.testing.assert_array_equal(after["first"], before["first"])
    np.testing.assert_array_equal(after["other"], before["other"])


def test_a_dead_channel_stays_as_it_is() -> None:
    from edge_retina.quantization.equalization import equalize

    model = chain(max_value=None)
    scale_channel(model, "first", 0, 0.0)
    dw = model.get_layer("dw").get_weights()[0][:, :, 0].copy()
    before = model(images()).numpy()
    equalize(model)
    assert all(np.isfinite(kernel).all() for kernel in kernels(model).values())
    assert (model.get_layer("first").get_weights()[0][..., 0] == 0).all()
    assert not (dw == 0).all()
    np.testing.assert_allclose(model(images()), before, atol=1e-4 * np.abs(before).max())


def test_a_nearly_dead_channel_is_not_blown_up() -> None:
    """Its bias is alive and would be divided by the same tiny number."""
    from edge_retina.quantization.equalization import equalize

    model = chain(max_value=None)
    kernel, bias = model.get_layer("first").get_weights()
    kernel[..., 0] *= 1e-5
    model.get_layer("first").set_weights([kernel, bias])
    equalize(model)
    after, bias_after = model.get_layer("first").get_weights()
    np.testing.assert_array_equal(after[..., 0], kernel[..., 0])
    assert bias_after[0] == bias[0]


def test_no_channel_is_changed_by_more_than_a_hundred_times() -> None:
    from edge_retina.quantization.equalization import equalize

    model = chain(max_value=None)
    scale_channel(model, "first", 1, 1e8)
    before = kernels(model)["first"]
    equalize(model)
    factor = before[..., 1] / kernels(model)["first"][..., 1]
    np.testing.assert_allclose(factor, 100, rtol=1e-4)


def test_the_deploy_graph_computes_the_same(
    make_retinanet: Callable[..., Any], blurred_pictures: Callable[[int, int], Any]
) -> None:
    from edge_retina.model.deploy import build_deploy_graph
    from edge_retina.quantization.equalization import equalize

    deploy = build_deploy_graph(make_retinanet()[0], relu6=False)
    pictures = normalize(blurred_pictures(4, 1))
    before = [output.numpy() for output in deploy(pictures)]
    spread = channel_spread(deploy, "block_1_depthwise")
    # Along the backbone only Conv_1 and what an addition or the pyramid uses too ends a pair.
    assert equalize(deploy) > 50
    for expected, found in zip(before, deploy(pictures), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
    assert channel_spread(deploy, "block_1_depthwise") < spread


def channel_spread(deploy: Any, name: str) -> float:
    sizes = largest(deploy.get_layer(name).get_weights()[0], 2)
    return float(sizes.max() / np.median(sizes))


def test_with_relu6_only_the_heads_and_the_pyramid_are_evened_out(
    make_retinanet: Callable[..., Any],
) -> None:
    from edge_retina.model import keras_internals
    from edge_retina.model.deploy import build_deploy_graph
    from edge_retina.quantization.equalization import equalize

    deploy = build_deploy_graph(make_retinanet()[0])
    before = kernels(deploy)
    # 3 of the pyramid, 2 separable ones of each of the heads on 3 levels, and the projections of
    # the backbone that no addition is beside
    users = {
        layer.name: [user.name for user in keras_internals.users(layer)] for layer in deploy.layers
    }
    assert users["expanded_conv_project"] == ["block_1_expand"]
    assert users["block_16_project"] == ["Conv_1"]
    assert equalize(deploy) == 3 + 12 + 2
    after = kernels(deploy)
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert not [name for name in changed if name.endswith("_depthwise")]
