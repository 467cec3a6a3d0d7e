from __future__ import annotations

import numpy as np
import pytest

from edge_retina.errors import ModelError
from edge_retina.runtime.normalization import (
    NORMALIZATIONS,
    Normalization,
    parse_normalization,
    quantized_range,
    stated_normalization,
    to_tensor,
)
from edge_retina.runtime.tensor_values import Tensor, dequantize, quantize

PIXELS = np.array([[[[0, 64, 255]]]], np.uint8)


def tensor(dtype: str, scale: float = 0.0, zero_point: int = 0) -> Tensor:
    return Tensor("picture", (1, 1, 1, 3), dtype, scale, zero_point)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("0..1", [0, 64 / 255, 1]),
        ("-1..1", [-1, 64 / 127.5 - 1, 1]),
        ("0..255", [0, 64, 255]),
        ("imagenet", [-123.675 / 58.395, (64 - 116.28) / 57.12, (255 - 103.53) / 57.375]),
        ("127,128", [-127 / 128, -63 / 128, 1]),
        ("10,20,30,1,2,5", [-10, 22, 45]),
    ],
)
def test_a_rule_by_hand(text: str, expected: list[float]) -> None:
    values = to_tensor(PIXELS, tensor("float32"), parse_normalization(text))
    assert values.dtype == np.float32
    np.testing.assert_allclose(values[0, 0, 0], expected, rtol=1e-6)


@pytest.mark.parametrize("text", ["", "1", "1,2,3", "1,0", "a,b", "nan,1", "0..2"])
def test_what_is_no_rule(text: str) -> None:
    with pytest.raises(ModelError) as caught:
        parse_normalization(text)
    assert str(caught.value) == (
        f"--normalise {text}: expected 0..1, -1..1, 0..255, imagenet, or MEAN,STD in pixel values: "
        "two numbers, or six for R,G,B"
    )


@pytest.mark.parametrize(
    "given, rule",
    [
        (tensor("int8", 1 / 255, -128), "0..1"),
        (tensor("int8", 1 / 256, -128), "0..1"),
        (tensor("uint8", 1 / 255, 0), "0..1"),
        (tensor("int8", 1 / 127.5, 0), "-1..1"),
        (tensor("uint8", 1 / 128, 128), "-1..1"),
        (tensor("int8", 1.0, -128), "0..255"),
        (tensor("int8", 0.95 / 255, -128), "0..1"),  # calibration never met white
        (tensor("int8", 0.0186, -14), None),  # ImageNet's rule: -2.1..2.6
    ],
)
def test_the_rule_that_an_8_bit_input_holds(given: Tensor, rule: str | None) -> None:
    assert quantized_range(given) == (None if rule is None else NORMALIZATIONS[rule])


@pytest.mark.parametrize(
    "given, rule, expected",
    [
        (tensor("int8", 1 / 255, -128), "0..1", [-128, -64, 127]),
        (tensor("uint8", 1 / 128, 128), "-1..1", [0, 64, 255]),
        (tensor("uint8"), "0..255", [0, 64, 255]),
        # by the formula: 64 / 255 / (.9 / 255) - 128 = -56.9; white is saturated
        (tensor("int8", 0.9 / 255, -128), "0..1", [-128, -57, 127]),
        # (64 - 116.28) / 57.12 / .02 = -45.8
        (tensor("int8", 0.02, 0), "imagenet", [-106, -46, 127]),
    ],
)
def test_pixels_of_an_8_bit_input(given: Tensor, rule: str, expected: list[int]) -> None:
    values = to_tensor(PIXELS, given, NORMALIZATIONS[rule])
    assert values.dtype == given.dtype
    assert values[0, 0, 0].tolist() == expected


def test_half_steps_and_saturation() -> None:
    given = tensor("int8", 0.5, 1)
    values = np.array([0.25, 0.75, -0.25, 100, -100], np.float32)
    # halves go to the even neighbour: 0.5 -> 0, 1.5 -> 2, -0.5 -> 0
    assert quantize(values, given).tolist() == [1, 3, 1, 127, -128]
    np.testing.assert_array_equal(dequantize(np.array([1, 3, -128], np.int8), given), [0, 1, -64.5])
    plain = np.array([1, 3], np.float32)
    np.testing.assert_array_equal(dequantize(plain, tensor("float32")), plain)


def stated(mean: list[float], std: list[float]) -> dict:
    options = {"options": {"NormalizationOptions": {"mean": mean, "std": std}}}
    return {"subgraph_metadata": [{"input_tensor_metadata": [{"process_units": [options]}]}]}


def test_the_rule_in_the_metadata() -> None:
    assert stated_normalization(stated([127.0], [128.0])) == Normalization((127.0,), (128.0,))
    assert stated_normalization(stated([1.0, 2.0], [1.0, 2.0])) is None
    assert stated_normalization(stated([0.0], [0.0])) is None
    assert stated_normalization(None) is None
    assert stated_normalization({"subgraph_metadata": [{}]}) is None
