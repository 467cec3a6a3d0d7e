"""The loss by learning rate: some steps at a rate that grows, before the training itself.

Source: Smith 2017, Cyclical Learning Rates for Training Neural Networks, section 3.3.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from edge_retina.model.keras import tf
from edge_retina.training.step import TrainStep

_REACH = 100.0  # the rates go from a hundredth of the peak to a hundred times it
_SMOOTHING = 0.9  # share of the past in the average of the losses
_DIVERGED = 4.0  # times the smallest average


def measure_rate_range(
    step: TrainStep, batches: Iterator[tuple[tf.Tensor, ...]], *, peak: float, count: int
) -> dict[str, Any]:
    """Train for some steps, each at a higher rate than the one before.

    Args:
        step: changes the weights and the optimizer, which the caller puts back.
        batches: at least `count`.
        peak: the learning rate of the training.
        count: steps; fewer are done if the loss diverges.

    Returns:
        `learning_rates` and `losses`, the latter averaged over the steps so far: the newest counts
        .1, and each older one .9 times the next.
    """
    rates: list[float] = []
    losses: list[float] = []
    average = 0.0
    for rate in np.geomspace(peak / _REACH, peak * _REACH, count).tolist():
        result = step(*next(batches), learning_rate=rate)
        loss = sum(result.losses.values())
        if not math.isfinite(loss + result.gradient_norm):
            break
        average = _SMOOTHING * average + (1 - _SMOOTHING) * loss
        rates.append(rate)
        losses.append(average / (1 - _SMOOTHING ** len(rates)))  # the start at 0 taken out
        if losses[-1] > _DIVERGED * min(losses):
            break
    return {"learning_rates": rates, "losses": losses}
