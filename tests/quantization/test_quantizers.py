from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_retina.runtime.image import normalize

pytestmark = pytest.mark.tf

CHANNELS = 8
# Five orders of magnitude between the channels of one kernel.
SCALES = np.logspace(-3, 2, CHANNELS)


def depthwise_kernel() -> np.ndarray:
    kernel = np.random.default_rng(0).normal(size=(3, 3, CHANNELS, 1))
    return (kernel * SCALES[:, None]).astype(np.float32)


def convolution_kernel() -> np.ndarray:
    kernel = np.random.default_rng(0).normal(size=(3, 3, 4, CHANNELS))
    return (kernel * SCALES).astype(np.float32)


def built(quantizer: Any, shape: tuple[int, ...]) -> dict[str, Any]:
    """The quantiser's variables, in a layer of their own."""
    from edge_retina.model.keras import keras

    return quantizer.build(shape, "kernel", keras.layers.Layer())


@pytest.mark.parametrize(
    "kernel, channel_axis", [(depthwise_kernel(), 2), (convolution_kernel(), 3)]
)
def test_each_channel_has_its_own_step(kernel: np.ndarray, channel_axis: int):
    from edge_retina.quantization.quantizers import PerChannelWeights

    quantizer = PerChannelWeights(channel_axis)
    variables = built(quantizer, kernel.shape)
    fake = quantizer(kernel, True, variables).numpy()
    assert fake.shape == kernel.shape

    largest = np.abs(np.moveaxis(kernel, channel_axis, 0)).reshape(CHANNELS, -1).max(axis=1)
    np.testing.assert_allclose(variables["bound"], largest, rtol=1e-6)
    step = np.moveaxis((largest / 127).reshape(-1, 1, 1, 1), 0, channel_axis)
    assert (np.abs(fake - kernel) <= 0.501 * step).all()
    # what is stored are whole numbers, at most 127 both ways
    whole = fake / step
    np.testing.assert_allclose(whole, np.rint(whole), atol=1e-3)
    assert np.abs(whole).max() <= 127.001

    variables["bound"].assign(np.full(CHANNELS, largest.max(), np.float32))
    shared = quantizer(kernel, False, variables).numpy()
    assert not (np.abs(shared - kernel) <= 0.501 * step).all()  # one range for all is not enough


def test_the_range_of_weights_stays_outside_training():
    from edge_retina.quantization.quantizers import PerChannelWeights

    quantizer = PerChannelWeights(2)
    variables = built(quantizer, (3, 3, CHANNELS, 1))
    quantizer(depthwise_kernel(), False, variables)
    np.testing.assert_array_equal(variables["bound"], np.ones(CHANNELS))


def test_a_channel_of_zeros_has_a_scale():
    from edge_retina.quantization.quantizers import PerChannelWeights

    quantizer = PerChannelWeights(3)
    kernel = np.zeros((1, 1, 2, 3), np.float32)
    kernel[..., 0] = 0.5, -2.0
    variables = built(quantizer, kernel.shape)
    fake = quantizer(kernel, True, variables).numpy()
    np.testing.assert_allclose(variables["bound"], [2.0, 1e-4, 1e-4])
    assert (fake[..., 1:] == 0).all()


BATCH = np.array([[-3.0, 0.5, 5.0]], np.float32)


@pytest.mark.parametrize(
    "rate, fixed, training, low, high",
    [
        (0.0, (), True, -1.0, 1.0),  # the range is frozen
        (1.0, (), False, -1.0, 1.0),  # not in training
        (1.0, (), True, -3.0, 5.0),
        (0.25, (), True, -1.5, 2.0),  # a quarter of the way
        (1.0, ("fixed_low",), True, -1.0, 5.0),
        (1.0, ("fixed_high",), True, -3.0, 1.0),
        (1.0, ("fixed_low", "fixed_high"), True, -1.0, 1.0),
    ],
)
def test_calibrated_range_follows(
    rate: float, fixed: tuple[str, ...], training: bool, low: float, high: float
):
    from edge_retina.model.keras import tf
    from edge_retina.quantization.quantizers import CalibratedRange

    quantizer = CalibratedRange(tf.Variable(rate), **dict.fromkeys(fixed, True))
    variables = built(quantizer, BATCH.shape)
    quantizer(BATCH, training, variables)
    assert (float(variables["low"]), float(variables["high"])) == (low, high)


@pytest.mark.parametrize(
    "batch, low, high", [([2.0, 4.0], 0.0, 4.0), ([-4.0, -2.0], -4.0, 0.0), ([0.0], 0.0, 0.0)]
)
def test_calibrated_range_always_holds_0(batch: list[float], low: float, high: float):
    from edge_retina.model.keras import tf
    from edge_retina.quantization.quantizers import CalibratedRange

    quantizer = CalibratedRange(tf.Variable(1.0))
    variables = built(quantizer, (1,))
    quantizer(np.array(batch, np.float32), True, variables)
    assert (float(variables["low"]), float(variables["high"])) == (low, high)


def test_calibrated_range_has_256_steps_and_cuts_what_is_beyond():
    from edge_retina.model.keras import tf
    from edge_retina.quantization.quantizers import CalibratedRange

    quantizer = CalibratedRange(tf.Variable(0.0))
    variables = built(quantizer, (1,))
    variables["low"].assign(-1.0)
    variables["high"].assign(4.1)  # 51 steps of .02 below 0, 205 above, after nudging
    values = tf.constant(np.linspace(-3, 6, 5001, dtype=np.float32))
    with tf.GradientTape() as tape:
        tape.watch(values)
        fake = quantizer(values, True, variables)
    slope = tape.gradient(fake, values).numpy()
    fake, values = fake.numpy(), values.numpy()
    assert len(np.unique(fake)) == 256
    assert 0 in fake
    inside = (values > -0.98) & (values < 4.08)
    np.testing.assert_allclose(fake[inside], values[inside], atol=0.01001)
    assert (slope[inside] == 1).all()  # straight through
    assert (slope[(values < -1.02) | (values > 4.12)] == 0).all()


def test_every_pixel_value_is_exact():
    from edge_retina.quantization.quantizers import FixedRange

    pixels = np.arange(256, dtype=np.uint8)
    fake = FixedRange(-1.0, 127 / 128)(normalize(pixels), False, {}).numpy()
    np.testing.assert_array_equal(fake * 128 + 128, pixels)


def test_16_bits_are_symmetric():
    from edge_retina.model.keras import tf
    from edge_retina.quantization.quantizers import Calibrated16BitRange

    quantizer = Calibrated16BitRange(tf.Variable(0.0))
    variables = built(quantizer, (1,))
    variables["low"].assign(-1.0)
    variables["high"].assign(3.2767)  # steps of 1e-4 on both sides
    assert quantizer.step_of(variables) == pytest.approx(1e-4)
    values = np.array([0, 3e-5, 7e-5, 1.00004, -2.00006, 3.2767, -3.2767, 9, -9], np.float32)
    whole = quantizer(values, False, variables).numpy() / 1e-4
    expected = [0, 0, 1, 10000, -20001, 32767, -32767, 32767, -32767]
    np.testing.assert_allclose(whole, expected, atol=0.01)


@pytest.mark.parametrize("bits, step", [(8, 2 / 255), (16, 2 / 65534)])
def test_the_step_of_a_fixed_range(bits: int, step: float):
    from edge_retina.quantization.quantizers import FixedRange

    quantizer = FixedRange(-1.0, 1.0, bits=bits)
    assert quantizer.step == pytest.approx(step)
    values = np.linspace(-1, 1, 1001, dtype=np.float32)
    fake = quantizer(values, False, {}).numpy()
    assert np.abs(fake - values).max() <= 0.51 * step  # float32 of its own
    np.testing.assert_allclose(fake / step, np.rint(fake / step), atol=0.02)


@pytest.mark.parametrize("active", [0.0, 1.0])
def test_switched_off_everything_goes_through(active: float):
    from edge_retina.model.keras import tf
    from edge_retina.quantization.quantizers import CalibratedRange, Switchable

    inner = CalibratedRange(tf.Variable(0.0))
    quantizer = Switchable(inner, tf.Variable(active))
    variables = built(quantizer, (1,))
    values = np.array([-7.0, 0.001, 0.5, 7.0], np.float32)
    expected = inner(values, False, variables) if active else values
    np.testing.assert_array_equal(quantizer(values, False, variables), expected)
    assert quantizer.step_of(variables) == inner.step_of(variables) == pytest.approx(2 / 255)
