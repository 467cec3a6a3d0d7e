from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edge_retina.runtime.image import normalize

pytestmark = pytest.mark.tf


@pytest.mark.parametrize(
    "name, has_range",
    [
        ("Conv1", False),  # fused with the ReLU6 behind it
        ("Conv1_relu", True),
        ("expanded_conv_project", True),  # linear
        ("block_2_add", True),
        ("p3_lateral", True),
        ("p5_up_rows", False),  # moves bytes
        ("p4_merge", True),
        ("cls_p3_conv0_dw", True),
        ("cls_p3_conv0_pw", False),
        ("cls_p3_conv0_relu", True),
        ("box_p4_out_pw", True),
        ("box_p4_reshape", False),
    ],
)
def test_which_outputs_have_a_range(int8_detector: SimpleNamespace, name: str, has_range: bool):
    from edge_retina.quantization.fusion import quantized_outputs

    int8_detector.deploy.get_layer(name)  # the name exists
    assert (name in quantized_outputs(int8_detector.deploy)) == has_range


def test_each_level_has_its_own_ranges(int8_detector: SimpleNamespace):
    ranges = int8_detector.quantized.activation_ranges()
    for part in ("conv0_relu", "out_dw"):
        assert len({ranges[f"cls_p{level}_{part}"] for level in (3, 4, 5)}) == 3


def test_ranges_are_those_that_were_set(int8_detector: SimpleNamespace):
    found = int8_detector.quantized.activation_ranges()
    assert set(found) == set(int8_detector.ranges)
    for name, want in int8_detector.ranges.items():
        np.testing.assert_allclose(found[name], want, rtol=1e-6)


def test_weights_are_those_of_the_deploy_graph(int8_detector: SimpleNamespace):
    weights = int8_detector.quantized.weights()
    for layer in int8_detector.deploy.layers:
        for part, value in zip(("kernel", "bias"), layer.get_weights(), strict=False):
            np.testing.assert_array_equal(weights[f"{layer.name}/{part}"], value)


def test_close_to_the_float_model(
    int8_detector: SimpleNamespace, blurred_pictures: Callable[[int, int], Any]
):
    images = normalize(blurred_pictures(8, seed=1))
    expected, found = int8_detector.deploy(images), int8_detector.quantized.model(images)
    floor = int8_detector.ranges["cls_p3_out_pw"][0]
    for layer, a, b in zip(int8_detector.deploy.output_names, expected, found, strict=True):
        a, b = a.numpy(), b.numpy()
        if layer.startswith("cls"):
            a = np.maximum(a, floor)  # logits too low to count are cut
        assert np.abs(a - b).mean() < 0.05 * a.std()
        assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.998


@pytest.fixture(scope="module")
def quantized(int8_detector: SimpleNamespace) -> Any:
    """A model of its own, to be changed."""
    from edge_retina.quantization.wrapping import build_quantized_model

    return build_quantized_model(int8_detector.deploy)


def test_the_range_of_a_kernel_is_fitted_again(quantized: Any):
    weights = quantized.weights()
    before = quantized.model.get_layer("quant_p3_smooth_dw").get_weights()
    quantized.set_weights(weights | {"p3_smooth_dw/kernel": 3 * weights["p3_smooth_dw/kernel"]})
    after = quantized.model.get_layer("quant_p3_smooth_dw").get_weights()
    bounds = [(a, b) for a, b in zip(before, after, strict=True) if a.shape == (16,)]
    assert sum(np.allclose(b, 3 * a) and (a > 0).all() for a, b in bounds) == 1


def test_training_moves_ranges_at_the_rate_only(
    int8_detector: SimpleNamespace,
    blurred_pictures: Callable[[int, int], Any],
):
    from edge_retina.quantization.wrapping import build_quantized_model

    quantized = build_quantized_model(int8_detector.deploy)
    quantized.set_activation_ranges(int8_detector.ranges)
    start = quantized.activation_ranges()
    images = normalize(blurred_pictures(2, seed=2) // 4)  # dark: other extremes
    quantized.model(images, training=True)
    assert quantized.activation_ranges() == start
    quantized.range_rate.assign(0.5)
    quantized.model(images, training=True)
    moved = quantized.activation_ranges()
    assert sum(moved[name] != start[name] for name in start) > 0.9 * len(start)
    for level in (3, 4, 5):
        name = f"cls_p{level}_out_pw"
        assert moved[name] == start[name]
