"""Losses and speed since the last log line."""

from __future__ import annotations

import math
import time

import numpy as np

from edge_retina.errors import TrainingError


class LossWindow:
    """Collects the losses of steps; stops a training at one that is not finite."""

    def __init__(self, *, remedy: str) -> None:
        """`remedy`: what to change when a loss is not finite, for the error message."""
        self._remedy = remedy
        self._losses: dict[str, list[float]] = {}
        self.restart()

    def restart(self) -> None:
        """Start to measure the speed anew, so that an evaluation doesn't count."""
        self._images, self._since = 0, time.monotonic()

    def add(self, step: int, *, images: int, **losses: float) -> None:
        """Add one step's losses, by name.

        Raises:
            TrainingError: one is not finite.
        """
        for name, value in losses.items():
            if not math.isfinite(value):
                raise TrainingError(f"step {step}: {name} is {value}; {self._remedy}")
            self._losses.setdefault(name, []).append(value)
        self._images += images

    def note(self) -> str:
        """Return the means so far in one short text."""
        return " ".join(f"{name} {np.mean(values):.3f}" for name, values in self._losses.items())

    def take(self) -> dict[str, float]:
        """Return the means, their sum as `loss`, and the speed; start a new window."""
        means = {name: float(np.mean(values)) for name, values in self._losses.items()}
        speed = self._images / max(time.monotonic() - self._since, 1e-9)
        self._losses = {}
        self.restart()
        return {"loss": sum(means.values()), **means, "images_per_second": speed}
