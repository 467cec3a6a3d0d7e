"""Whether one model is better than another by more than the choice of the pictures explains."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from edge_retina.evaluation.matches import Matches

_RESAMPLES = 200
_LEVEL = 0.05


def is_better(one: Matches, other: Matches, *, comparisons: int = 1) -> bool:
    """Whether `one` has a higher mAP than `other`, beyond the noise of a small split.

    A one-sided test at the level of 5 %: the difference must exceed z standard errors of itself.

    Args:
        one: of a model.
        other: of another one, on the same pictures.
        comparisons: from how many models `one` was picked as the best; the level is divided by it
            (Bonferroni), because the best of many is partly lucky.
    """
    if one.mAP() <= other.mAP():
        return False
    difference, error = resampled_difference(one, other)
    z = NormalDist().inv_cdf(1 - _LEVEL / max(comparisons, 1))
    return difference > z * error


def resampled_difference(one: Matches, other: Matches, *, seed: int = 0) -> tuple[float, float]:
    """Return by how much the mAP of `one` is higher, and the standard error of that.

    By the paired bootstrap: pictures are drawn with replacement, and both models are measured on
    the same draws, so that what makes a picture hard for both cancels out. The difference is the
    mean over the draws: that of the split itself jumps where a recall passes one of the 101 at
    which COCO reads the precision.

    Source: Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 6; n / (n - 1)
    removes the bias of few pictures. The error is infinite for a single picture, which says nothing
    about others.
    """
    pictures = len(one.objects)
    if pictures < 2:
        return one.mAP() - other.mAP(), math.inf
    rng = np.random.default_rng(seed)
    differences = []
    for _ in range(_RESAMPLES):
        counts = np.bincount(rng.integers(pictures, size=pictures), minlength=pictures)
        differences.append(one.mAP(counts) - other.mAP(counts))
    error = np.std(differences, ddof=1) * math.sqrt(pictures / (pictures - 1))
    return float(np.mean(differences)), float(error)
