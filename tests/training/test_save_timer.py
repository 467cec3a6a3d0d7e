"""When a save is due, by a clock that the tests set."""

from __future__ import annotations

import time

import pytest

from edge_retina.training.save_timer import SaveTimer


class Clock:
    """Stands for `time.monotonic`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)

    def wait(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def step(timer: SaveTimer, clock: Clock, seconds: float) -> bool:
    clock.wait(seconds)
    return timer.after_step()


def save(timer: SaveTimer, clock: Clock, seconds: float) -> None:
    began = clock.now
    clock.wait(seconds)
    timer.after_save(began)


def test_another_step_would_be_too_many(clock: Clock):
    timer = SaveTimer(10.0)
    assert [step(timer, clock, 3.0) for _ in range(3)] == [False, False, True]


def test_the_time_of_a_save_comes_off_the_interval(clock: Clock):
    timer = SaveTimer(10.0)
    save(timer, clock, 2.0)
    # At 2 + 5 s a step of 1 s and a save of 2 s end after 10 s.
    assert [step(timer, clock, 1.0) for _ in range(5)] == [False, False, False, False, True]


def test_one_slow_step_counts_until_the_next_save(clock: Clock):
    timer = SaveTimer(10.0)
    assert step(timer, clock, 6.0)  # another one like it would end at 12 s
    save(timer, clock, 0.0)
    assert not step(timer, clock, 1.0)


def test_no_interval_is_no_save(clock: Clock):
    timer = SaveTimer(0.0)
    assert not step(timer, clock, 1000.0)


@pytest.mark.parametrize("steps_s", [[0.4, 0.4, 0.4], [0.1, 2.0, 0.1], [3.0, 0.2, 0.2]])
def test_a_kill_costs_no_more_than_the_interval(clock: Clock, steps_s: list[float]):
    interval, save_s = 10.0, 1.5
    timer = SaveTimer(interval)
    saved_state, worst, saves = clock.now, 0.0, 0
    for number in range(200):
        if step(timer, clock, steps_s[number % len(steps_s)]):
            state = clock.now
            save(timer, clock, save_s)
            if saves:  # how long the first save takes can't be known
                worst = max(worst, clock.now - saved_state)
            saved_state, saves = state, saves + 1
    assert saves > 3
    assert interval / 2 < worst <= interval
