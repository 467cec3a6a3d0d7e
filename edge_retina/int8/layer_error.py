"""What quantisation does to a layer's output, in figures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

INT8_STEPS = 255
INT16_STEPS = 65534  # -32767..32767


@dataclass(frozen=True)
class LayerError:
    """One quantised output of the network, over some real pictures.

    Attributes:
        name: of the layer; the ReLU's where a convolution is fused with one.
        kernel: name of the convolution; "" for an addition.
        low: lower end of its range.
        high: upper end.
        steps: that the range is divided into.
        snr_db: signal to noise of the simulation: power of the float values over the power of the
            difference, in decibels; what the layers before lost is in it.
        own_snr_db: the same where only this layer is quantised and gets float input.
        channel_snr_db: `own_snr_db` of the median channel: one channel that is far larger than the
            others has nearly all of the signal and hides what they lose.
        weight_snr_db: of the worst output channel of the kernel; None without a quantised one.
        cosine: of the angle between the float and the simulated values.
        range_use: share of the range's width that float values reach.
        saturated: share of float values that lie beyond the range by more than half a step.
        channel_spread: how much larger the largest channel is than the median one.
        rmse_steps: root mean square of the difference in steps.
        tflite_snr_db: signal to noise of the .tflite file; None if its tensor was not found.
        within_step: share of the file's values that are within one step of the simulation's; what
            the layers before differ in is in it.
        op_equal: share of the file's values that equal the simulation's exactly where the layer
            gets the file's own input.
    """

    name: str
    kernel: str
    low: float
    high: float
    steps: int
    snr_db: float
    own_snr_db: float
    channel_snr_db: float
    weight_snr_db: float | None
    cosine: float
    range_use: float
    saturated: float
    channel_spread: float
    rmse_steps: float
    tflite_snr_db: float | None
    within_step: float | None
    op_equal: float | None


class LayerSums:
    """Adds up one layer's figures picture by picture."""

    def __init__(
        self,
        name: str,
        *,
        kernel: str,
        low: float,
        high: float,
        floor: float,
        steps: int = INT8_STEPS,
    ) -> None:
        """Start at nothing.

        Args:
            name: of the layer.
            kernel: name of its convolution, or "".
            low: lower end of its range.
            high: upper end.
            floor: values below it are not told apart on purpose and count as equal to it;
                `-inf` for all layers but the class logits.
            steps: that the range is divided into.
        """
        self._name, self._kernel, self._low, self._high = name, kernel, low, high
        self._steps = steps
        self._floor = floor
        self._count = 0
        self._noise = self._file_noise = 0.0
        self._dot = self._simulated = 0.0
        self._beyond = self._near = self._equal = self._compared = 0
        self._least, self._most = np.inf, -np.inf
        self._channel_size = self._signal = self._own_noise = np.zeros(1)  # each (C,) from then on

    def add(
        self,
        exact: np.ndarray,
        simulated: np.ndarray,
        own: np.ndarray,
        file: np.ndarray | None,
        replayed: np.ndarray | None,
    ) -> None:
        """Add one picture.

        Args:
            exact: the float network's values, any shape with the channels last.
            simulated: those of the fake-quantised network.
            own: with only this layer quantised.
            file: those of the .tflite file; None if it has no such tensor.
            replayed: those of the simulation on the file's own input to the layer; None likewise.
        """
        channels = exact.shape[-1]
        self._channel_size = np.maximum(
            self._channel_size, np.abs(exact).reshape(-1, channels).max(axis=0)
        )
        step = (self._high - self._low) / self._steps
        exact, simulated, own = (self._counted(values) for values in (exact, simulated, own))
        self._count += exact.size
        self._signal = self._signal + np.square(exact).sum(axis=0)
        self._own_noise = self._own_noise + np.square(exact - own).sum(axis=0)
        self._simulated += _power(simulated)
        self._dot += float((exact * simulated).sum())
        self._noise += _power(exact - simulated)
        beyond = (exact < self._low - step / 2) | (exact > self._high + step / 2)
        self._beyond += int(beyond.sum())
        self._least = min(self._least, float(exact.min()))
        self._most = max(self._most, float(exact.max()))
        if file is not None and replayed is not None:
            equal = np.abs(file.ravel() - replayed.ravel()) <= step / 2
            self._equal += int(equal.sum())
            values = self._counted(file)
            self._file_noise += _power(exact - values)
            self._near += int((np.abs(values - simulated) <= 1.001 * step).sum())
            self._compared += values.size

    def _counted(self, values: np.ndarray) -> np.ndarray:
        """Return values as (positions, C) float64, not below the floor."""
        flat = values.reshape(-1, values.shape[-1]).astype(np.float64)
        return np.maximum(flat, self._floor)

    def result(self, *, weight_snr_db: float | None) -> LayerError:
        """Return the figures of all pictures."""
        width = max(self._high - self._low, 1e-12)
        used = min(self._most, self._high) - max(self._least, self._low)
        sizes = self._channel_size[self._channel_size > 0]
        signal = float(self._signal.sum())
        compared = self._compared > 0
        return LayerError(
            name=self._name,
            kernel=self._kernel,
            low=self._low,
            high=self._high,
            steps=self._steps,
            snr_db=_decibels(signal, self._noise),
            own_snr_db=_decibels(signal, float(self._own_noise.sum())),
            channel_snr_db=_median_decibels(self._signal, self._own_noise),
            weight_snr_db=weight_snr_db,
            cosine=self._dot / max(np.sqrt(signal * self._simulated), 1e-12),
            range_use=float(np.clip(used / width, 0, 1)),
            saturated=self._beyond / max(self._count, 1),
            channel_spread=float(sizes.max() / np.median(sizes)) if len(sizes) else 1.0,
            rmse_steps=float(np.sqrt(self._noise / max(self._count, 1)) / (width / self._steps)),
            tflite_snr_db=_decibels(signal, self._file_noise) if compared else None,
            within_step=self._near / self._compared if compared else None,
            op_equal=self._equal / self._compared if compared else None,
        )


def weight_snr_db(kernel: np.ndarray, error: np.ndarray, *, channel_axis: int) -> float:
    """Return the signal to noise of the output channel that rounding hurts most.

    Args:
        kernel: float weights (h, w, in, out) or (h, w, channels, 1).
        error: what quantisation adds, of the same shape.
        channel_axis: of the output channels.
    """
    others = tuple(axis for axis in range(4) if axis != channel_axis)
    signal = np.square(kernel.astype(np.float64)).sum(axis=others)
    noise = np.square(error.astype(np.float64)).sum(axis=others)
    alive = signal > 1e-12  # a dead channel has nothing to lose
    if not alive.any():
        return _decibels(0.0, 0.0)
    return min(
        _decibels(float(s), float(n)) for s, n in zip(signal[alive], noise[alive], strict=True)
    )


def _power(values: np.ndarray) -> float:
    return float(np.square(values).sum())


def _median_decibels(signal: np.ndarray, noise: np.ndarray) -> float:
    """Return the median over the channels that carry a signal."""
    alive = signal > 0
    pairs = zip(signal[alive], noise[alive], strict=True)
    return float(np.median([_decibels(float(s), float(n)) for s, n in pairs] or [120.0]))


def _decibels(signal: float, noise: float) -> float:
    """Return 10 log10(signal / noise), at most 120: beyond that float32 itself is the noise."""
    if noise <= signal * 1e-12:
        return 120.0
    return float(10 * np.log10(max(signal, 1e-12) / noise))
