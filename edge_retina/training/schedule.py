"""How long a training is and how its learning rate runs: linear warm-up, then a cosine."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edge_retina.budget import budget_steps
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


def warmup_steps(settings: TrainConfig, steps: int) -> int:
    """Return the steps of rising learning rate in a training of `steps`."""
    if not settings.warmup_fraction:
        return settings.warmup_steps
    return max(round(settings.warmup_fraction * steps), 1)


def average_decay(settings: TrainConfig, steps: int) -> float:
    """Return the decay of the moving average of weights in a training of `steps`.

    An average with decay d reaches 1 / (1 - d) steps back (about the mean age of what is in it).
    Given as a fraction of all steps, it weighs the same part of a short training and of a long one.
    """
    if not settings.ema_fraction:
        return settings.ema_decay
    return 1 - 1 / max(settings.ema_fraction * steps, 1)


def plain_from(settings: TrainConfig, steps: int) -> int | None:
    """Return the first step, counted from 0, with plain pictures; None if there is none.

    Those that may follow the last of the `steps`, to measure statistics, are like the last.

    Source: Ge et al. 2021 (YOLOX), which ends without its strong augmentations.
    """
    plain = round(settings.plain_steps * steps)
    return steps - plain if plain else None


def steps_per_epoch(images: int, batch_size: int) -> int:
    """Return the batches that show every image about once."""
    return max(math.ceil(images / batch_size), 1)


def total_steps(settings: TrainConfig | QuantizeConfig, *, images: int, batch_size: int) -> int:
    """Return the steps of a training: `steps` if it is set, else those of `epochs`.

    If neither is, they are those of `budget_steps`.
    """
    planned = settings.steps or settings.epochs * steps_per_epoch(images, batch_size)
    return planned or budget_steps(images, batch_size)
