"""What a network takes for a pixel: the rules, how they are written, and which one a file needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_retina.errors import ModelError
from edge_retina.runtime.tensor_values import Tensor, quantize

_CHANNELS = (1, 3)
_SAME = 0.01  # 1/255 and 1/256 are both in use for the same rule
_NEAR = 0.1  # calibration may not have met black and white
_LEVELS = 256


@dataclass(frozen=True)
class Normalization:
    """(pixel - mean) / std, with pixels of 0..255.

    Attributes:
        mean, std: one number for all channels, or one for each of R, G and B.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """Return (..., 3) uint8 pixels as float32 values."""
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        return (pixels.astype(np.float32) - mean) / std

    def __str__(self) -> str:
        for name, rule in NORMALIZATIONS.items():
            if rule == self:
                return name
        return ",".join(f"{number:g}" for number in (*self.mean, *self.std))


# By the name that `--normalise` takes.
NORMALIZATIONS: Mapping[str, Normalization] = {
    "0..1": Normalization((0.0,), (255.0,)),
    "-1..1": Normalization((127.5,), (127.5,)),
    "0..255": Normalization((0.0,), (1.0,)),
    # ImageNet's mean and deviation, as torchvision has them
    "imagenet": Normalization((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
}


def parse_normalization(text: str) -> Normalization:
    """Return the rule that `--normalise` names.

    Raises:
        ModelError: neither a name nor numbers.
    """
    if text in NORMALIZATIONS:
        return NORMALIZATIONS[text]
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    half = len(numbers) // 2
    if len(numbers) not in (2, 6) or not np.isfinite(numbers).all() or 0 in numbers[half:]:
        raise ModelError(
            f"--normalise {text}: expected {', '.join(NORMALIZATIONS)}, or MEAN,STD in pixel "
            "values: two numbers, or six for R,G,B"
        )
    return Normalization(tuple(numbers[:half]), tuple(numbers[half:]))


def stated_normalization(metadata: Mapping[str, Any] | None) -> Normalization | None:
    """Return the rule in a file's TFLite metadata; None if there is none that can be used."""
    graphs = (metadata or {}).get("subgraph_metadata", [])
    inputs = graphs[0].get("input_tensor_metadata", []) if graphs else []
    units = inputs[0].get("process_units", []) if inputs else []
    for unit in units:
        options = (unit.get("options") or {}).get("NormalizationOptions")
        if options is not None:
            mean, std = tuple(options.get("mean", ())), tuple(options.get("std", ()))
            if len(mean) == len(std) and len(mean) in _CHANNELS and all(std):
                return Normalization(mean, std)
    return None


def quantized_range(tensor: Tensor) -> Normalization | None:
    """Return the rule whose values an 8-bit input holds; None if it is none of the usual ones."""
    low, high = _limits(tensor)
    for rule in NORMALIZATIONS.values():
        if len(rule.mean) == 1 and _is_near(tensor, rule, _NEAR * (high - low)):
            return rule
    return None


def takes_pixels(tensor: Tensor, rule: Normalization) -> bool:
    """Whether an 8-bit input's integers are the pixels themselves, but for the sign of int8."""
    low, high = _limits(tensor)
    return len(rule.mean) == 1 and _is_near(tensor, rule, _SAME * (high - low))


def to_tensor(pixels: np.ndarray, tensor: Tensor, rule: Normalization) -> np.ndarray:
    """Return (..., 3) uint8 pixels as values of the input tensor."""
    if tensor.dtype == "float32":
        return rule.apply(pixels)
    if tensor.dtype == "uint8" and (not tensor.is_quantized or takes_pixels(tensor, rule)):
        return pixels
    if tensor.dtype == "int8" and takes_pixels(tensor, rule):
        return (pixels ^ 0x80).view(np.int8)  # pixel - 128
    return quantize(rule.apply(pixels), tensor)


def _limits(tensor: Tensor) -> tuple[float, float]:
    lowest = np.iinfo(tensor.dtype).min
    low = tensor.scale * (lowest - tensor.zero_point)
    return low, low + tensor.scale * (_LEVELS - 1)


def _is_near(tensor: Tensor, rule: Normalization, tolerance: float) -> bool:
    low, high = _limits(tensor)
    wanted = (rule.apply(np.array([0], np.uint8))[0], rule.apply(np.array([255], np.uint8))[0])
    return abs(low - wanted[0]) <= tolerance and abs(high - wanted[1]) <= tolerance
