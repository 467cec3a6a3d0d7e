"""How long a training is and how its learning rate runs: linear warm-up, then a cosine."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edge_retina.config import QuantizeConfig, TrainConfig


@dataclass(frozen=True)
class Schedule:
    """Learning rate by step.

    Rises from peak / warmup_steps to `peak` over the warm-up, then falls along half a cosine to
    `final_fraction * peak` at the last step. Source: Loshchilov & Hutter 2017 (SGDR), one cycle.

    Attributes:
        peak: highest learning rate.
        total_steps: of the training.
        warmup_steps: at most half of the steps are used.
        final_fraction: of the peak, at the last step.
    """

    peak: float
    total_steps: int
    warmup_steps: int
    final_fraction: float

    def rate_at(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        warmup_steps = min(self.warmup_steps, self.total_steps // 2)
        if step < warmup_steps:
            return self.peak * (step + 1) / warmup_steps
        progress = (step - warmup_steps) / max(self.total_steps - 1 - warmup_steps, 1)
        cosine = (1 + math.cos(math.pi * min(progress, 1.0))) / 2
        return self.peak * (self.final_fraction + (1 - self.final_fraction) * cosine)


def steps_per_epoch(images: int, batch_size: int) -> int:
    """Return the batches that show every image about once."""
    return max(math.ceil(images / batch_size), 1)


def total_steps(settings: TrainConfig | QuantizeConfig, epoch_steps: int) -> int:
    """Return the steps of a training: `steps` if it is set, else those of `epochs`."""
    return settings.steps or settings.epochs * epoch_steps
