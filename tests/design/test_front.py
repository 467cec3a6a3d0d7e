"""The Pareto front, by hand and against its definition."""

from __future__ import annotations

import numpy as np
import pytest

from edge_retina.design.front import pareto_front


@pytest.mark.parametrize(
    "costs, gains, front",
    [
        ([], [], []),
        ([1.0], [(5.0,)], [0]),
        ([2.0, 1.0], [(5.0,), (3.0,)], [1, 0]),  # cheaper ones first
        ([1.0, 2.0, 3.0], [(3.0,), (2.0,), (4.0,)], [0, 2]),  # dearer and worse is out
        ([1.0, 1.0], [(3.0,), (4.0,)], [1]),  # of equal costs the better
        ([1.0, 2.0], [(3.0,), (3.0,)], [0]),  # of equal gains the cheaper
        ([1.0, 1.0], [(3.0,), (3.0,)], [0]),  # of equals one
        ([1.0, 2.0], [(3.0, 0.5), (2.0, 0.6)], [0, 1]),  # better in something
    ],
)
def test_by_hand(costs: list[float], gains: list[tuple[float, ...]], front: list[int]) -> None:
    assert pareto_front(costs, gains) == front


def test_nothing_on_it_is_dominated_and_everything_else_is() -> None:
    rng = np.random.default_rng(0)
    costs = rng.integers(0, 12, 200).astype(float)
    gains = [tuple(map(float, row)) for row in rng.integers(0, 12, (200, 2))]

    def dominates(one: int, other: int) -> bool:
        better = (-costs[one], *gains[one]), (-costs[other], *gains[other])
        return better[0] != better[1] and all(a >= b for a, b in zip(*better, strict=True))

    front = set(pareto_front(list(costs), gains))
    for place in range(200):
        dominated = any(dominates(other, place) for other in range(200))
        equal_kept = any(
            other in front and (costs[other], gains[other]) == (costs[place], gains[place])
            for other in range(200)
        )
        assert (place in front or equal_kept) == (not dominated)
