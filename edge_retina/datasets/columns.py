"""Numbers that were appended one by one, as an array."""

from __future__ import annotations

from array import array

import numpy as np


def as_array(buffer: array | bytearray, dtype: type) -> np.ndarray:
    """Return the numbers (N,) of an array of Python's, which must not grow any more.

    Such an array grows in place, and nothing is copied here: to join arrays of NumPy would take
    their memory twice. The result is read-only, because all splits of a data set share it.
    """
    numbers: np.ndarray = np.frombuffer(buffer, dtype) if len(buffer) else np.zeros(0, dtype)
    numbers.flags.writeable = False
    return numbers


def parts_of(borders: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the numbers borders[row] .. borders[row + 1] of each row, one row after the other.

    Args:
        borders: (N + 1,) ascending; row n owns the numbers borders[n] .. borders[n + 1].
        rows: (R,) indices.
    """
    counts = np.diff(borders)[rows]
    starts = borders[rows] - (np.cumsum(counts) - counts)
    return np.asarray(np.repeat(starts, counts) + np.arange(counts.sum()))
