"""Detections before the timed ones, until their times have stopped drifting."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

SETTLED_DRIFT = 0.01
# Before them nothing can be said: clocks take tens of milliseconds to rise, and a middle needs
# more than one time.
_LEAST_MS = 300.0
_LEAST_WINDOW = 2


@dataclass(frozen=True)
class Warmup:
    """How a model was warmed up.

    Attributes:
        detections: how many were made after the model's first one.
        seconds: how long they took.
        typical_ms: the middle of the last third of them.
        drift: by how much that differs from the third before, as a fraction; None if there were too
            few to tell, or if it wasn't asked for.
    """

    detections: int
    seconds: float
    typical_ms: float
    drift: float | None

    @property
    def is_drifting(self) -> bool:
        """Whether the times were still changing when the patience ended."""
        return self.drift is not None and self.drift >= SETTLED_DRIFT


def warm_up(
    detect: Callable[[], float],
    *,
    least: int,
    max_seconds: float,
    clock: Callable[[], float] = time.perf_counter,
) -> Warmup:
    """Detect until the middles of two windows that follow each other differ by less than 1 %.

    The windows are the last third of the detections and the third before it, so they grow: noise
    averages out in them, a drift doesn't.

    Args:
        detect: makes one detection, always of the same image, and returns its milliseconds.
        least: number of detections, however steady; at least one is made.
        max_seconds: the patience; 0 makes `least` detections and doesn't look at the drift.
        clock: tells the time in seconds.
    """
    start = clock()
    times = [detect() for _ in range(max(1, least))]
    drift = None
    while max_seconds > 0:
        drift = drift_of(times)
        settled = drift is not None and drift < SETTLED_DRIFT
        if settled or clock() - start >= max_seconds:
            break
        times.append(detect())
    typical_ms = statistics.median(times[-max(1, len(times) // 3) :])
    return Warmup(len(times), clock() - start, typical_ms, drift)


def drift_of(times_ms: Sequence[float]) -> float | None:
    """Return how far the last third of times is from the third before, as a fraction.

    None for less than 300 ms, or less than two times in a third.
    """
    window = len(times_ms) // 3
    if window < _LEAST_WINDOW or sum(times_ms) < _LEAST_MS:
        return None
    last = statistics.median(times_ms[-window:])
    before = statistics.median(times_ms[-2 * window : -window])
    return abs(last / before - 1)
