"""Learning rate: linear warm-up, then a cosine."""

from __future__ import annotations

import math


def learning_rate_at(
    step: int, *, peak: float, total_steps: int, warmup_steps: int, final_fraction: float
) -> float:
    """Return the learning rate of a step, counted from 0.

    Rises from peak / warmup_steps to `peak` over the warm-up, then falls along half a cosine to
    `final_fraction * peak` at the last step. Source: Loshchilov & Hutter 2017 (SGDR), one cycle.
    """
    warmup_steps = min(warmup_steps, total_steps // 2)
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(total_steps - 1 - warmup_steps, 1)
    cosine = (1 + math.cos(math.pi * min(progress, 1.0))) / 2
    return peak * (final_fraction + (1 - final_fraction) * cosine)
