"""The score threshold in the numbers that are compared with it, by one rule everywhere.

The files with NMS inside compare logits: a pair is kept if its logit is at least that of the
threshold, rounded to float32. All other decoders follow that, so that rounding a score can't keep
in one place what is dropped in another.
"""

from __future__ import annotations

import math

import numpy as np

# Thresholds nearer to 0 or 1 count as this near: their logits would be infinite.
_NEAREST = 1e-6


def least_logit(score_threshold: float) -> np.float32:
    """Return the least logit that reaches a threshold of 0..1."""
    probability = min(max(score_threshold, _NEAREST), 1 - _NEAREST)
    return np.float32(math.log(probability / (1 - probability)))


def least_score(score_threshold: float) -> np.float32:
    """Return the least score, a sigmoid in float32, whose logit reaches a threshold of 0..1.

    It lies half-way between the scores of the least logit and of the one before. With the sigmoid
    of XNNPACK, which is off by 2 units in the last place at the most, that decides as the logits do
    for thresholds up to 0.2. LiteRT's built-in kernel is off by up to 5, and may decide otherwise
    about the one logit next to the threshold. Above 0.2 several logits have one score; then the
    score of the least one passes.
    """
    least = least_logit(score_threshold)
    before = np.nextafter(least, np.float32(-np.inf))
    own = np.float32(_sigmoid(least))
    middle = (_sigmoid(least) + _sigmoid(before)) / 2
    rounded = np.float32(middle)
    if float(rounded) < middle:
        rounded = np.nextafter(rounded, np.float32(1))
    return min(own, rounded)


def _sigmoid(logit: np.float32) -> float:
    return 1 / (1 + math.exp(-float(logit)))
