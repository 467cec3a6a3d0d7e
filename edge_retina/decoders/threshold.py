"""The score threshold in the numbers of an output, so that a decoder compares what is stored."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable

import numpy as np

from edge_retina.runtime.raw_layout import LOGITS, RawTensor

# The bits of the largest finite float32, as an integer: so many positive ones there are
_LARGEST = 0x7F7FFFFF


def least_passing(tensor: RawTensor, score_threshold: float) -> float:
    """Return the least stored value whose score, rounded to float32, reaches a threshold.

    Args:
        tensor: logits or scores.
        score_threshold: 0..1.

    Returns:
        Of 8 bits an integer, one above the largest if none passes; of float32 a finite number.
    """
    wanted = np.float32(score_threshold)

    def passes(real: np.float32) -> bool:
        return bool((_sigmoid(real) if tensor.content == LOGITS else real) >= wanted)

    if tensor.dtype == "float32":
        return _least_float(passes)
    limits = np.iinfo(tensor.dtype)
    scale = np.float32(tensor.scale)
    for code in range(limits.min, limits.max + 1):
        if passes(np.float32(code - tensor.zero_point) * scale):
            return code
    return int(limits.max) + 1


def _least_float(passes: Callable[[np.float32], bool]) -> float:
    """Return the least finite float32 that passes, by halving the interval; the largest does."""
    low, high = -_LARGEST - 1, _LARGEST
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if passes(_float_at(middle)) else (middle, high)
    return float(_float_at(high))


def _float_at(place: int) -> np.float32:
    """Return a float32 by its place in the order of all of them, 0.0 at 0."""
    size = struct.unpack("<f", struct.pack("<I", abs(place)))[0]
    return np.float32(math.copysign(size, place))


def _sigmoid(logit: np.float32) -> np.float32:
    """Return the score as `boxes.nms.detect` computes it."""
    with np.errstate(over="ignore"):
        return np.float32(1 / (1 + np.exp(-np.float64(logit))))
