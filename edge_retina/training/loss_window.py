"""Losses and speed since the last log line."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from edge_retina.training.step import StepResult

_NORM = "gradient_norm"


class LossWindow:
    """Collects what steps report until it is logged.

    Attributes:
        values: the losses of each step by name, and its gradient norm.
        figures: its other figures.
    """

    def __init__(self) -> None:
        self.values: dict[str, list[float]] = {}
        self.figures: dict[str, list[Any]] = {}
        self.restart_clock()

    def restart_clock(self) -> None:
        """Start to measure the speed anew, so that an evaluation doesn't count."""
        self._images, self._since = 0, time.monotonic()

    def add(self, result: StepResult, *, images: int) -> None:
        """Add one step on so many images."""
        for name, value in (*result.losses.items(), (_NORM, result.gradient_norm)):
            self.values.setdefault(name, []).append(value)
        for name, figure in result.figures.items():
            self.figures.setdefault(name, []).append(figure)
        self._images += images

    def note(self) -> str:
        """Return the mean losses so far in one short text."""
        return " ".join(
            f"{name} {np.mean(values):.3f}" for name, values in self.values.items() if name != _NORM
        )

    def take(self) -> dict[str, Any]:
        """Return all means, the sum of the losses as `loss`, and the speed; start a new window.

        A figure is left out if it was not a number in any step.
        """
        means = {name: float(np.mean(values)) for name, values in self.values.items()}
        speed = self._images / max(time.monotonic() - self._since, 1e-9)
        figures = {name: _mean(steps) for name, steps in self.figures.items()}
        self.values, self.figures = {}, {}
        self.restart_clock()
        total = sum(value for name, value in means.items() if name != _NORM)
        known = {name: mean for name, mean in figures.items() if mean is not None}
        return {"loss": total, **means, **known, "images_per_second": speed}


def _mean(steps: list[Any]) -> Any:
    """Return the mean of numbers or of lists, NaN left out; None if there is nothing else."""
    values = np.array(steps, float)
    if np.isnan(values).all(axis=0).any():
        return None
    return np.nanmean(values, axis=0).tolist()
