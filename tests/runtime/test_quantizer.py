from __future__ import annotations

import numpy as np
import pytest

from edge_retina.errors import ModelError
from edge_retina.runtime.image import normalize
from edge_retina.runtime.quantizer import dequantize, quantize


@pytest.mark.parametrize(
    "x, expected",
    [
        (0.0, 10),
        (0.5, 11),  # one step of 0.5
        (0.25, 10),  # half a step: to the even 0
        (0.75, 12),  # one and a half: to the even 2
        (-0.25, 10),
        (-0.75, 8),
        (0.26, 11),
        (0.24, 10),
        (58.5, 127),  # the last value that fits: 117 steps
        (59.0, 127),  # saturates
        (1e9, 127),
        (-69.0, -128),  # -138 steps
        (-69.5, -128),
        (-np.inf, -128),
        (np.inf, 127),
    ],
)
def test_int8_at_half_steps_and_saturation(x: float, expected: int) -> None:
    got = quantize(np.array([x]), scale=0.5, zero_point=10, dtype=np.int8)
    assert got.dtype == np.int8
    assert got.tolist() == [expected]


def test_halves_are_rounded_before_the_zero_point_is_added() -> None:
    # 0.5 steps + 1: rint(0.5) + 1 = 1, but rint(0.5 + 1) = 2
    assert quantize(np.array([0.5]), scale=1.0, zero_point=1, dtype=np.int8).tolist() == [1]


def test_a_pixel_is_its_own_quantised_value() -> None:
    pixels = np.arange(256, dtype=np.uint8)
    got = quantize(normalize(pixels), scale=1 / 128, zero_point=128, dtype=np.uint8)
    np.testing.assert_array_equal(got, pixels)


def test_dequantize_does_not_wrap_unsigned_integers() -> None:
    got = dequantize(np.array([0, 3, 255], np.uint8), scale=0.5, zero_point=128)
    assert got.dtype == np.float32
    assert got.tolist() == [-64.0, -62.5, 63.5]


def test_every_int8_value_survives_the_round_trip() -> None:
    values = np.arange(-128, 128, dtype=np.int8)
    real = dequantize(values, scale=0.037, zero_point=-5)
    back = quantize(real, scale=0.037, zero_point=-5, dtype=np.int8)
    np.testing.assert_array_equal(back, values)


def test_empty() -> None:
    got = quantize(np.zeros((0, 4), np.float32), scale=1.0, zero_point=0, dtype=np.int8)
    assert got.shape == (0, 4)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan")])
def test_a_scale_must_be_positive(scale: float) -> None:
    with pytest.raises(ModelError, match="scale must be above 0"):
        quantize(np.zeros(1), scale=scale, zero_point=0, dtype=np.int8)


def test_a_float_type_is_refused() -> None:
    with pytest.raises(ModelError, match="integer type, got float32"):
        quantize(np.zeros(1), scale=1.0, zero_point=0, dtype=np.float32)
