"""The loss by learning rate, if a RUN has measured it before its training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_retina.errors import RunError
from edge_retina.files import load_json

_FALLEN = 0.9  # of the first loss: a curve that falls less says nothing


@dataclass(frozen=True)
class RateRange:
    """Losses at rates that grew from step to step.

    Attributes:
        learning_rates: ascending.
        losses: smoothed, one for each rate.
    """

    learning_rates: tuple[float, ...]
    losses: tuple[float, ...]

    @property
    def turn(self) -> float | None:
        """The rate at which the loss was smallest: it rises beyond; None if it hardly fell."""
        least = min(self.losses, default=0.0)
        if not self.losses or least > _FALLEN * self.losses[0]:
            return None
        return self.learning_rates[self.losses.index(least)]


def read_rate_range(path: Path) -> RateRange | None:
    """Read what a training has recorded; None if it hasn't.

    Raises:
        RunError: not of the format.
    """
    if not path.is_file():
        return None
    try:
        tree = load_json(path)
        rates, losses = (tuple(map(float, tree[key])) for key in ("learning_rates", "losses"))
    except (ValueError, TypeError, KeyError, OverflowError):
        raise RunError(
            f"{path}: expected lists of learning_rates and losses; delete it, or train again with "
            "train.rate_range_steps"
        ) from None
    return RateRange(rates, losses)
