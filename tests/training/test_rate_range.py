"""The loss by learning rate, with stand-ins for steps."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from edge_retina.training.step import StepResult

pytestmark = pytest.mark.tf


def measured(*losses: float, norm: float = 1.0, count: int = 5) -> dict[str, Any]:
    from edge_retina.training.rate_range import measure_rate_range

    rest = iter(losses)

    def step(*_: Any, learning_rate: float) -> StepResult:
        assert 1e-4 <= learning_rate <= 1.0001
        value = next(rest)
        return StepResult({"cls_loss": value - 0.5, "box_loss": 0.5}, norm, {})

    batches = itertools.repeat(())
    return measure_rate_range(step, batches, peak=0.01, count=count)  # type: ignore[arg-type]


def test_rates_grow_from_a_hundredth_to_a_hundred_times_the_peak() -> None:
    found = measured(2.0, 2.0, 2.0, 2.0, 2.0)
    assert found["learning_rates"] == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1, 1])
    assert found["losses"] == pytest.approx([2.0] * 5)  # whatever the start of the average


def test_losses_are_averaged_over_the_steps_so_far() -> None:
    found = measured(2.0, 1.0, 1.0, 1.0, 1.0)
    assert found["losses"][1] == pytest.approx((0.9 * 2 + 1) / 1.9)


def test_it_ends_when_the_loss_diverges() -> None:
    assert len(measured(2.0, 1.0, 200.0, 1.0, 1.0)["losses"]) == 3
    assert len(measured(2.0, 1.0, float("nan"), 1.0, 1.0)["losses"]) == 2
    assert measured(2.0, norm=float("inf"))["losses"] == []
