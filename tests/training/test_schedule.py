from __future__ import annotations

import pytest

from edge_retina.training.schedule import learning_rate_at


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
def test_learning_rate_at(step: int, total: int, warmup: int, final: float, rate: float):
    settings = {"total_steps": total, "warmup_steps": warmup, "final_fraction": final}
    assert learning_rate_at(step, peak=1.0, **settings) == pytest.approx(rate)
    assert learning_rate_at(step, peak=0.003, **settings) == pytest.approx(0.003 * rate)


def test_it_rises_and_then_falls():
    rates = [
        learning_rate_at(s, peak=1.0, total_steps=100, warmup_steps=20, final_fraction=0.01)
        for s in range(100)
    ]
    assert rates[:20] == sorted(rates[:20])
    assert rates[20:] == sorted(rates[20:], reverse=True)
