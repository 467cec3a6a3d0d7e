"""When a warm-up ends: by made-up times and a clock that they move."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

import numpy as np
import pytest

from edge_retina.benchmark.warmup import Warmup, drift_of, warm_up


def warmed(times_ms: Iterable[float], *, least: int = 1, max_seconds: float = 10.0) -> Warmup:
    """Warm up with a model that takes these times."""
    now = 0.0
    source = iter(times_ms)

    def detect() -> float:
        nonlocal now
        time_ms = next(source)
        now += time_ms / 1000
        return time_ms

    clock: Callable[[], float] = lambda: now  # noqa: E731
    return warm_up(detect, least=least, max_seconds=max_seconds, clock=clock)


def test_drift_by_hand() -> None:
    """Thirds of two: the middles are 100, 120 and 60; the first third doesn't count."""
    assert drift_of([99, 101, 119, 121, 59, 61]) == pytest.approx(0.5)
    assert drift_of([7, 99, 101, 119, 121, 59, 61]) == pytest.approx(0.5)


@pytest.mark.parametrize("times_ms", [[], [400.0], [400.0] * 5, [40.0] * 7])
def test_too_little_to_tell_a_drift(times_ms: list[float]) -> None:
    assert drift_of(times_ms) is None


def test_a_steady_model_is_warm_after_300_ms() -> None:
    found = warmed(itertools.repeat(10.0))
    assert (found.detections, found.drift, found.typical_ms) == (30, 0.0, 10.0)
    assert found.seconds == pytest.approx(0.3)
    assert not found.is_drifting


def test_a_model_that_gets_faster_is_waited_for() -> None:
    """Its times fall from 40 to 20 ms within about two seconds."""
    falling = [20 + 20 * np.exp(-number / 30) for number in range(10_000)]
    found = warmed(falling)
    assert not found.is_drifting
    assert found.typical_ms == pytest.approx(20, rel=0.01)
    assert found.detections > 150


def test_patience_ends_and_the_drift_is_told() -> None:
    found = warmed((10 * 1.01**number for number in range(10_000)), max_seconds=2)
    assert found.is_drifting
    assert 2 <= found.seconds < 2.1


def test_noise_is_no_drift() -> None:
    rng = np.random.default_rng(0)
    found = warmed(iter(lambda: 30 * rng.lognormal(0, 0.1), None))
    assert not found.is_drifting
    assert found.seconds < 5


def test_without_patience_only_the_number_counts() -> None:
    found = warmed([5.0, 4.0, 3.0], least=3, max_seconds=0)
    assert (found.detections, found.drift, found.is_drifting) == (3, None, False)
    assert warmed([5.0], least=0, max_seconds=0).detections == 1


def test_a_slow_model_ends_with_its_patience() -> None:
    """Four seconds each: three of them say nothing about a drift."""
    found = warmed(itertools.repeat(4000.0))
    assert (found.detections, found.drift) == (3, None)
