from __future__ import annotations

import dataclasses

import pytest

from edge_retina.budget import budget_steps
from edge_retina.config import QuantizeConfig, TrainConfig
from edge_retina.training.schedule import (
    Schedule,
    average_decay,
    plain_from,
    steps_per_epoch,
    total_steps,
    warmup_steps,
)


@pytest.mark.parametrize(
    "step, total, warmup, final, rate",
    [
        (0, 13, 4, 0.1, 0.25),  # a quarter of the peak, never 0
        (1, 13, 4, 0.1, 0.5),
        (3, 13, 4, 0.1, 1.0),
        (4, 13, 4, 0.1, 1.0),  # the cosine starts at the peak
        (8, 13, 4, 0.1, 0.55),  # half way: between the peak and the end
        (6, 13, 4, 0.1, 0.1 + 0.9 * 0.8535534),  # a quarter of the way: (1 + cos 45°) / 2
        (12, 13, 4, 0.1, 0.1),  # the last step
        (20, 13, 4, 0.1, 0.1),  # beyond
        (12, 13, 4, 0.0, 0.0),
        (0, 13, 0, 0.1, 1.0),  # no warm-up
        (0, 10, 1000, 0.1, 0.2),  # a warm-up takes half of the steps at the most
        (4, 10, 1000, 0.1, 1.0),
        (9, 10, 1000, 0.1, 0.1),
        (0, 1, 100, 0.1, 1.0),
    ],
)
def test_the_rate_at_a_step(step: int, total: int, warmup: int, final: float, rate: float):
    assert Schedule(1.0, total, warmup, final).rate_at(step) == pytest.approx(rate)
    assert Schedule(0.003, total, warmup, final).rate_at(step) == pytest.approx(0.003 * rate)


def test_it_rises_and_then_falls():
    schedule = Schedule(peak=1.0, total_steps=100, warmup_steps=20, final_fraction=0.01)
    rates = [schedule.rate_at(step) for step in range(100)]
    assert rates[:20] == sorted(rates[:20])
    assert rates[20:] == sorted(rates[20:], reverse=True)


@pytest.mark.parametrize(
    "images, batch_size, steps", [(16, 8, 2), (17, 8, 3), (1, 8, 1), (0, 8, 1)]
)
def test_steps_per_epoch(images: int, batch_size: int, steps: int):
    assert steps_per_epoch(images, batch_size) == steps


@pytest.mark.parametrize("section", [TrainConfig, QuantizeConfig])
def test_steps_go_before_epochs(section: type):
    assert total_steps(section(epochs=5, steps=0), images=50, batch_size=8) == 35
    assert total_steps(section(epochs=5, steps=3), images=50, batch_size=8) == 3


def test_the_number_of_images_decides_where_neither_is_set():
    settings = TrainConfig(epochs=0)
    assert total_steps(settings, images=20_000, batch_size=8) == budget_steps(20_000, 8)
    assert total_steps(dataclasses.replace(settings, steps=3), images=9, batch_size=8) == 3


@pytest.mark.parametrize(
    "fraction, steps, warmup",
    [(0.0, 1000, 70), (0.0, 10, 70), (0.05, 1000, 50), (0.05, 4000, 200), (0.05, 4, 1)],
)
def test_the_warm_up_is_a_fraction_if_one_is_given(fraction: float, steps: int, warmup: int):
    assert warmup_steps(TrainConfig(warmup_steps=70, warmup_fraction=fraction), steps) == warmup


@pytest.mark.parametrize(
    "fraction, steps, decay",
    [
        (0.0, 1000, 0.9),
        (0.05, 1000, 0.98),  # 50 steps
        (0.05, 20_000, 0.999),
        (0.05, 10, 0.0),  # less than a step: the last weights
    ],
)
def test_the_average_spans_a_fraction_if_one_is_given(fraction: float, steps: int, decay: float):
    found = average_decay(TrainConfig(ema_decay=0.9, ema_fraction=fraction), steps)
    assert found == pytest.approx(decay)


@pytest.mark.parametrize("fraction, first", [(0.0, None), (0.1, 900), (0.9, 100)])
def test_plain_pictures_are_the_last(fraction: float, first: int | None):
    assert plain_from(TrainConfig(plain_steps=fraction), 1000) == first
