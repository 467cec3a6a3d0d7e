"""Which trials go on: successive halving without waiting for a whole rung.

Source: Li et al. 2020, A System for Massively Parallel Hyperparameter Tuning (ASHA), algorithm 2.
Deviation: a trial is stopped when it reaches a rung, or goes on; it is not promoted later.
"""

from __future__ import annotations

from collections.abc import Sequence

REDUCTION = 3
_FEWEST = 3  # trials at a rung; before, all go on


def rungs(steps: int, *, count: int = 3, reduction: int = REDUCTION) -> tuple[int, ...]:
    """Return the steps at which trials are compared, ascending; the last is `steps`."""
    return tuple(max(steps // reduction**power, 1) for power in reversed(range(count)))


def goes_on(value: float, others: Sequence[float], *, reduction: int = REDUCTION) -> bool:
    """Return whether a trial is among the best third of those that came to its rung.

    Args:
        value: of the trial.
        others: of the others at this rung.
        reduction: one of so many goes on.
    """
    if len(others) + 1 < _FEWEST:
        return True
    ranked = sorted((*others, value), reverse=True)
    return value >= ranked[max(len(ranked) // reduction, 1) - 1]
