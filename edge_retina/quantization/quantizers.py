"""What each number becomes in int8, simulated in float (fake quantisation)."""

from __future__ import annotations

from typing import Any

from edge_retina.model.keras import keras, tf

# A channel of nearly zero weights would get a scale so small that its bias, stored in int32 with
# the scale input * weight, overflows. At 1e-4 a bias of 6 behind an input scale of 0.02 uses a
# fifth of it.
_SMALLEST_WEIGHT_RANGE = 1e-4


class PerChannelWeights:
    """Symmetric int8 -127..127 with a scale for each output channel, as TFLite stores weights.

    tfmot 0.8.1 sizes the range by the kernel's last axis, which is 1 for a depthwise kernel
    (h, w, C, 1): it trains against one scale for the whole tensor. Here the channel axis is given.
    Source of the format: the TFLite 8-bit quantisation specification.
    """

    def __init__(self, channel_axis: int) -> None:
        """`channel_axis`: 3 for convolution kernels, 2 for depthwise ones."""
        self.channel_axis = channel_axis

    def build(
        self, tensor_shape: Any, name: str, layer: keras.layers.Layer
    ) -> dict[str, tf.Variable]:
        """Create the range variables (C,)."""
        channels = tensor_shape[self.channel_axis]
        return {
            "bound": layer.add_weight(
                f"{name}_bound",
                shape=(channels,),
                initializer=keras.initializers.Constant(1.0),
                trainable=False,
            )
        }

    def __call__(
        self, inputs: tf.Tensor, training: bool, weights: dict[str, tf.Variable]
    ) -> tf.Tensor:
        """Return the fake-quantised kernel; in training its range follows the kernel."""
        if training:
            weights["bound"].assign(self.bound_of(inputs))
        bound = weights["bound"]
        depthwise = self.channel_axis == 2
        flat = tf.squeeze(inputs, 3)[:, :, None, :] if depthwise else inputs
        fake = tf.quantization.fake_quant_with_min_max_vars_per_channel(
            flat, -bound, bound, num_bits=8, narrow_range=True
        )
        return tf.reshape(fake, inputs.shape)

    def bound_of(self, kernel: tf.Tensor) -> tf.Tensor:
        """Return the largest absolute weight of each channel (C,)."""
        others = [axis for axis in range(4) if axis != self.channel_axis]
        return tf.maximum(tf.reduce_max(tf.abs(kernel), axis=others), _SMALLEST_WEIGHT_RANGE)


class PerTensorWeights(PerChannelWeights):
    """The same with one scale for the whole tensor."""

    def bound_of(self, kernel: tf.Tensor) -> tf.Tensor:
        """Return the largest absolute weight of all, once for each channel (C,)."""
        bound = super().bound_of(kernel)
        return tf.fill(tf.shape(bound), tf.reduce_max(bound))


class CalibratedRange:
    """Asymmetric int8 with one range for the tensor, set by calibration.

    tfmot's MovingAverageQuantizer starts at -6..6 and creeps (decay .999) towards the true range.
    This one starts where calibration puts it; in training it follows the batch's extremes at
    `range_rate`, until that is set to 0.
    """

    def __init__(
        self, range_rate: tf.Variable, *, fixed_low: bool = False, fixed_high: bool = False
    ) -> None:
        """`range_rate`: scalar in 0..1, of the whole model; ends that are `fixed` never move."""
        self._rate = range_rate
        self._fixed_low, self._fixed_high = fixed_low, fixed_high

    def build(
        self, tensor_shape: Any, name: str, layer: keras.layers.Layer
    ) -> dict[str, tf.Variable]:
        """Create the scalar range variables."""
        return {
            end: layer.add_weight(
                f"{name}_{end}",
                shape=(),
                initializer=keras.initializers.Constant(value),
                trainable=False,
            )
            for end, value in (("low", -1.0), ("high", 1.0))
        }

    def __call__(
        self, inputs: tf.Tensor, training: bool, weights: dict[str, tf.Variable]
    ) -> tf.Tensor:
        """Return the fake-quantised tensor."""
        low, high = weights["low"], weights["high"]
        if training:
            if not self._fixed_low:
                batch_low = tf.minimum(tf.reduce_min(inputs), 0.0)
                low.assign_add(self._rate * (batch_low - low))
            if not self._fixed_high:
                batch_high = tf.maximum(tf.reduce_max(inputs), 0.0)
                high.assign_add(self._rate * (batch_high - high))
        return self._quantise(inputs, low, high)

    def step_of(self, weights: dict[str, tf.Variable]) -> float:
        """Return the width of a step."""
        return (float(weights["high"]) - float(weights["low"])) / 255

    def _quantise(self, inputs: tf.Tensor, low: tf.Tensor, high: tf.Tensor) -> tf.Tensor:
        return tf.quantization.fake_quant_with_min_max_vars(inputs, low, high, num_bits=8)


class Calibrated16BitRange(CalibratedRange):
    """Symmetric int16 -32767..32767, the only int16 that TFLite's kernels know."""

    def step_of(self, weights: dict[str, tf.Variable]) -> float:
        """Return the width of a step."""
        return max(-float(weights["low"]), float(weights["high"])) / 32767

    def _quantise(self, inputs: tf.Tensor, low: tf.Tensor, high: tf.Tensor) -> tf.Tensor:
        bound = tf.maximum(-low, high)
        return tf.quantization.fake_quant_with_min_max_vars(
            inputs, -bound, bound, num_bits=16, narrow_range=True
        )


class FixedRange:
    """A range known beforehand: that of the network's input."""

    def __init__(self, low: float, high: float, *, bits: int = 8) -> None:
        """The range, of which zero must be a multiple of the scale away from `low`.

        With 16 bits the integers are -32767..32767.
        """
        self.low, self.high, self.bits = low, high, bits

    @property
    def step(self) -> float:
        """Width of a step."""
        return (self.high - self.low) / (2**self.bits - (2 if self.bits == 16 else 1))

    def build(
        self, tensor_shape: Any, name: str, layer: keras.layers.Layer
    ) -> dict[str, tf.Variable]:
        """Nothing to create."""
        return {}

    def __call__(self, inputs: tf.Tensor, training: bool, weights: Any) -> tf.Tensor:
        """Return the fake-quantised tensor."""
        return tf.quantization.fake_quant_with_min_max_args(
            inputs, self.low, self.high, num_bits=self.bits, narrow_range=self.bits == 16
        )


class Switchable:
    """Another quantiser that can be switched off, to see what it costs. Not for conversion."""

    def __init__(self, quantizer: Any, active: tf.Variable) -> None:
        """`active`: scalar, 1 to quantise and 0 to let everything through."""
        self.quantizer, self._active = quantizer, active

    def build(
        self, tensor_shape: Any, name: str, layer: keras.layers.Layer
    ) -> dict[str, tf.Variable]:
        """Create the variables of the other quantiser."""
        return self.quantizer.build(tensor_shape, name, layer)

    def __call__(
        self, inputs: tf.Tensor, training: bool, weights: dict[str, tf.Variable]
    ) -> tf.Tensor:
        """Return the fake-quantised tensor, or `inputs`."""
        quantised = self.quantizer(inputs, training, weights)
        return tf.where(self._active > 0.5, quantised, inputs)

    def bound_of(self, kernel: tf.Tensor) -> tf.Tensor:
        """Return the bound of the other quantiser, of weights."""
        return self.quantizer.bound_of(kernel)

    def step_of(self, weights: dict[str, tf.Variable]) -> float:
        """Return the step of the other quantiser, of activations."""
        return self.quantizer.step_of(weights)
