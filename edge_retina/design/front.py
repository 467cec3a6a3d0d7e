"""The Pareto front: networks of which none is both faster and better than another."""

from __future__ import annotations

from collections.abc import Sequence


def pareto_front(costs: Sequence[float], gains: Sequence[tuple[float, ...]]) -> list[int]:
    """Return the places of what nothing dominates, the cheapest first.

    One dominates another if it costs no more, gains no less of anything, and is not equal in all.

    Args:
        costs: the less, the better.
        gains: of each, several numbers; the more, the better.
    """
    order = sorted(range(len(costs)), key=lambda place: (costs[place], _reversed(gains[place])))
    front: list[int] = []
    for place in order:  # whatever comes later costs as much or more
        if not any(_reaches(gains[kept], gains[place]) for kept in front):
            front.append(place)
    return front


def _reaches(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return all(mine >= theirs for mine, theirs in zip(one, other, strict=True))


def _reversed(gains: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(-gain for gain in gains)
