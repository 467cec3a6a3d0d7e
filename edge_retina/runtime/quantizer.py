"""The one rule by which real numbers become integers."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from edge_retina.errors import ModelError


def quantize(x: np.ndarray, *, scale: float, zero_point: int, dtype: DTypeLike) -> np.ndarray:
    """Return clip(rint(x / scale) + zero_point) as `dtype`.

    Args:
        x: real values of any shape.
        scale: real size of one step, above 0.
        zero_point: the integer that stands for 0.0.
        dtype: an integer type; values outside its range saturate.

    Returns:
        An array of x's shape. Halves are rounded to the even integer before the zero point is
        added. The quotient is taken in float64, so that it isn't rounded to a half before.

    Raises:
        ModelError: the scale is not positive, or the type is not an integer type.
    """
    _check(scale, dtype)
    limits = np.iinfo(dtype)
    steps = np.rint(np.asarray(x, np.float64) / scale) + zero_point
    return np.clip(steps, limits.min, limits.max).astype(dtype)


def dequantize(q: np.ndarray, *, scale: float, zero_point: int) -> np.ndarray:
    """Return (q - zero_point) * scale as float32, for integers `q` of any shape."""
    # int64 first: uint8 minus a larger zero point would wrap around
    return (np.asarray(q, np.int64) - zero_point).astype(np.float32) * np.float32(scale)


def _check(scale: float, dtype: DTypeLike) -> None:
    if not scale > 0:
        raise ModelError(
            f"quantisation scale must be above 0, got {scale}; is the tensor quantised?"
        )
    if not np.issubdtype(dtype, np.integer):
        raise ModelError(f"can only quantise to an integer type, got {np.dtype(dtype).name}")
