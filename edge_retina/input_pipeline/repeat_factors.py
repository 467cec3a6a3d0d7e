"""Images with rare classes are drawn more often than others.

Source: Gupta et al. 2019, LVIS: A Dataset for Large Vocabulary Instance Segmentation, section 4.2
(repeat factor sampling).
Deviation: they round the factors of all images on their own in every epoch. Here they are rounded
together, so that all epochs have the same length and the n-th draw can be found without the epochs
before it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from edge_retina.datasets.example_table import ExampleTable
from edge_retina.datasets.schema import Example


def repeat_factors(examples: Sequence[Example], threshold: float) -> np.ndarray:
    """Return how often each image is drawn in an epoch, on average.

    The factor of a class that a share f of the images contains is max(1, sqrt(threshold / f)); that
    of an image is the highest of its classes. Objects that are ignored don't count.

    Args:
        examples: the training split.
        threshold: t of the paper; 0 gives every image a factor of 1.

    Returns:
        (N,) float64, 1 or more.
    """
    table = ExampleTable.of(examples)
    kept = ~table.ignored
    found, place = np.unique(table.classes[kept], return_inverse=True)
    pairs = np.unique(table.owners[kept].astype(np.int64) * max(len(found), 1) + place)
    image, label = np.divmod(pairs, max(len(found), 1))  # each class of an image once
    shares = np.bincount(label, minlength=len(found)) / max(len(examples), 1)
    factors = np.ones(len(examples))
    np.maximum.at(factors, image, np.maximum(1.0, np.sqrt(threshold / shares))[label])
    return factors


def epoch_length(factors: np.ndarray) -> int:
    """Return the draws of an epoch: the sum of the factors, rounded up."""
    return math.ceil(round(factors.sum(), 6))  # 6 digits: sums of 1/3 are not to gain a draw


def draw_repeats(factors: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Round factors to whole numbers of draws whose sum is `epoch_length`.

    A factor of 2.3 becomes 3 in 30 % of the epochs and 2 in the others. (All factors are raised a
    little, by less than one draw in sum, to fill the epoch; so no image is ever left out.)

    Args:
        factors: (N,), 1 or more.
        rng: not used if all factors are 1.

    Returns:
        (N,) int64.
    """
    length = epoch_length(factors)
    if length == len(factors):
        return np.ones(length, np.int64)
    # Systematic sampling: the factors laid end to end, and a mark at every 1 from a random start.
    ends = np.cumsum(factors) * (length / factors.sum())
    ends[-1] = length
    return np.diff(np.floor(ends + rng.random()).astype(np.int64), prepend=0)
