"""Which state of a training is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edge_retina.evaluation.matches import Matches
from edge_retina.evaluation.significance import is_better


@dataclass(frozen=True)
class EvaluatedState:
    """A state of a model in training and how it did on the validation split.

    Attributes:
        step: number of steps done.
        mAP: on the validation split.
        matches: its detections there.
        weights: whatever its owner needs to bring it back.
    """

    step: int
    mAP: float
    matches: Matches
    weights: Any


class StateSelection:
    """Keeps the last state unless an earlier one is better beyond noise.

    The highest mAP of many evaluations on a small split is partly luck, and the end of a cosine is
    where a training is meant to arrive. So the rule leans to the last state: an earlier one must be
    better by more than the choice of the validation pictures explains (`is_better`). Compared with
    the last is the best of all earlier ones, so that a slow decline can't creep below the noise.

    With a `start`, the model that was there before the training, the rule leans to the start: it is
    kept unless a trained state has at least its mAP. Trained states below it are out of the
    question, however little they are below, for what training can't improve needn't be changed.

    Attributes:
        start: see above.
        best: the trained state with the highest mAP.
        last: the latest trained state.
        count: trained states so far. Those worse than the start don't count in any of the three.
    """

    def __init__(self, start: EvaluatedState | None = None) -> None:
        self.start = start
        self.best: EvaluatedState | None = None
        self.last: EvaluatedState | None = None
        self.count = 0

    def offer(self, state: EvaluatedState) -> None:
        """Take a trained state into account."""
        if self.start is not None and state.mAP < self.start.mAP:
            return
        self.count += 1
        self.last = state
        if self.best is None or state.mAP > self.best.mAP:
            self.best = state

    @property
    def kept(self) -> EvaluatedState | None:
        """The state to keep; None if there is neither a start nor a trained state."""
        if self.best is None or self.last is None:
            return self.start
        others = self.count - 1
        if is_better(self.best.matches, self.last.matches, comparisons=others):
            return self.best
        return self.last
