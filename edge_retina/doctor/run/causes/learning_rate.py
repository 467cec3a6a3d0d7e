"""Steps that are too large or too small."""

from __future__ import annotations

import math
from collections.abc import Callable

from edge_retina.config import TrainConfig
from edge_retina.doctor.run.evidence import LOG, TRAIN, UPDATES, RunEvidence
from edge_retina.doctor.run.suspicion import Cause, Judgement, Mend

_PARTS = ("fpn", "cls_head", "box_head")  # of fresh layers; a pretrained backbone is spared
# The largest of these layers' update ratios (mean of 20 steps) never exceeded .016 in 21 healthy
# trainings of the studies in benchmarks/results, and was .16 at a hundred times the rate. While the
# rate is high the median was .0036 to .0058, and .0013 at a tenth of it.
_LARGE = 0.05
_SMALL = 0.002
_HARDLY_FALLEN = 0.9  # the last loss over the first
_ENOUGH_STEPS = 100  # in fewer a loss may not fall for want of time
_POOR = 0.5  # mAP50 on training images
_FACTOR = 10.0
# In range tests of chess and vehicles5 (256 px, width 0.35) the loss was smallest at .016 and .04.
# The default rate, .006, is a third and a seventh of that.
_BELOW_TURN = 5.0
_FAR_BELOW = 15.0
_ABOVE = 2.0


def judge_high(run: RunEvidence) -> Judgement | None:
    """Suspect a high rate if steps are large and the loss hardly fell, or isn't finite.

    Or if the loss rose at such a rate in a range test, and the model is poor.
    """
    assert run.log is not None
    rate, turn = run.config.train.learning_rate, run.rate_turn
    ratio = _ratio(run, run.log.largest)
    fallen = run.log.at_end("loss") / run.log.at_start("loss")
    is_stuck = not fallen < _HARDLY_FALLEN and run.steps >= _ENOUGH_STEPS  # NaN too
    is_poor = run.train is None or run.train.mAP50 < _POOR
    is_large = ratio > _LARGE and is_poor
    is_beyond = turn is not None and rate > _ABOVE * turn and is_poor
    if not is_large and not is_stuck and not is_beyond:
        return None
    if is_stuck and ratio < _SMALL:
        return None  # it didn't move at all
    if turn is not None and rate <= turn and not is_large:
        return None  # the loss fell at this rate, so it is stuck for another reason
    lines = list(_range_lines(rate, turn))
    if ratio > _LARGE:
        lines.append(f"steps changed the weights by up to {ratio:.2g} of their norm")
    lines.append(f"the loss ended at {fallen:.0%} of where it began")
    lower = min(rate / _FACTOR, TrainConfig.learning_rate)
    if ratio > _LARGE * _FACTOR:
        lower = min(rate / _FACTOR**2, TrainConfig.learning_rate)
    if turn is not None and is_beyond:
        lower = turn / _BELOW_TURN
    return Judgement(
        tuple(lines),
        run.below_good,
        Mend("lower the learning rate", (f"train.learning_rate={lower:.2g}",)),
    )


def judge_low(run: RunEvidence) -> Judgement | None:
    """Suspect a low rate if steps are small and training images aren't learnt yet.

    Or if the loss still fell at a much higher rate in a range test.
    """
    assert run.log is not None
    assert run.train is not None
    ratio = _ratio(run, run.log.at_peak)
    rate, usual, turn = run.config.train.learning_rate, TrainConfig.learning_rate, run.rate_turn
    is_before = turn is not None and rate < turn / _FAR_BELOW
    if not is_before and (not ratio < _SMALL or run.has_learnt):
        return None
    higher = usual if rate < usual else rate * _FACTOR / 2
    if turn is not None and is_before:
        higher = turn / _BELOW_TURN
    lines = list(_range_lines(rate, turn))
    if ratio < _SMALL:
        lines.insert(
            0,
            f"while the rate was high, steps changed the weights by only {ratio:.2g} of their "
            "norm; usual are .004 to .006",
        )
    if not run.has_learnt:
        lines.append(run.unlearnt_line)
    return Judgement(
        tuple(lines),
        run.unlearnt,
        Mend("raise the learning rate", (f"train.learning_rate={higher:.2g}",)),
    )


def _range_lines(rate: float, turn: float | None) -> tuple[str, ...]:
    if turn is None:
        return ()
    text = (
        f"in the range test the loss was smallest at a rate of {turn:.2g}; this one is {rate:.2g}"
    )
    return (text,)


def _ratio(run: RunEvidence, figure: Callable[[str], float]) -> float:
    """Return a figure of the update ratios: that of the fresh part with the largest."""
    ratios = [figure(f"update_ratio_{part}") for part in _PARTS]
    known = [ratio for ratio in ratios if math.isfinite(ratio)]
    return max(known, default=math.nan)


HIGH = Cause(
    "learning-rate-high",
    "The learning rate is too high",
    "broken",
    (LOG, UPDATES),
    judge_high,
)
LOW = Cause(
    "learning-rate-low",
    "The learning rate is too low",
    "fit",
    (LOG, UPDATES, TRAIN),
    judge_low,
)
