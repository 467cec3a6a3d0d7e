"""Steps that are too large or too small."""

from __future__ import annotations

import math

from edge_retina.config import TrainConfig
from edge_retina.doctor.run.evidence import LOG, TRAIN, UPDATES, RunEvidence
from edge_retina.doctor.run.suspicion import Cause, Judgement, Mend

_PARTS = ("fpn", "cls_head", "box_head")  # of fresh layers; a pretrained backbone is spared
_LARGE = 0.02  # a step changes the weights by so much of their norm; usual are some thousandths
_SMALL = 0.0006
_HARDLY_FALLEN = 0.9  # the last loss over the first
_LEARNT = 0.85  # mAP50 on training images: nothing is left to learn, however small the steps
_FACTOR = 10.0


def judge_high(run: RunEvidence) -> Judgement | None:
    """Suspect a high rate if steps are large and the loss hardly fell, or isn't finite."""
    assert run.log is not None
    ratio = _peak_ratio(run)
    fallen = run.log.at_end("loss") / run.log.at_start("loss")
    stuck = not fallen < _HARDLY_FALLEN  # NaN too
    poor = run.train is None or run.train.mAP50 < 0.5
    if not (ratio > _LARGE and poor) and not stuck:
        return None
    if stuck and ratio < _SMALL:
        return None  # it didn't move at all
    rate = run.config.train.learning_rate
    lower = min(rate / _FACTOR, TrainConfig.learning_rate)
    if ratio > _LARGE * _FACTOR:
        lower = min(rate / _FACTOR**2, TrainConfig.learning_rate)
    return Judgement(
        (
            f"at its peak a step changed the weights by {ratio:.2g} of their norm; "
            f"usual are .001 to .005",
            f"the loss ended at {fallen:.0%} of where it began",
        ),
        run.below_good,
        Mend("lower the learning rate", (f"train.learning_rate={lower:.2g}",)),
    )


def judge_low(run: RunEvidence) -> Judgement | None:
    """Suspect a low rate if steps are small and training images aren't learnt yet."""
    assert run.train is not None
    ratio = _peak_ratio(run)
    if not ratio < _SMALL or run.train.mAP50 > _LEARNT:
        return None
    rate = run.config.train.learning_rate
    higher = rate * _FACTOR if ratio < _SMALL / 2 else rate * _FACTOR / 2
    return Judgement(
        (
            f"at its peak a step changed the weights by only {ratio:.2g} of their norm; "
            f"usual are .001 to .005",
            f"training images are not learnt: mAP50 {run.train.mAP50:.2f} on them",
        ),
        run.below_good * (1 - run.train.mAP50),
        Mend("raise the learning rate", (f"train.learning_rate={higher:.2g}",)),
    )


def _peak_ratio(run: RunEvidence) -> float:
    """Return the largest update ratio of the fresh layers while the learning rate is high."""
    assert run.log is not None
    ratios = [run.log.at_peak(f"update_ratio_{part}") for part in _PARTS]
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
