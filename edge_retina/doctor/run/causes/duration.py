"""Trainings that ended too early."""

from __future__ import annotations

from edge_retina.doctor.run.causes.learning_rate import LOW
from edge_retina.doctor.run.evidence import DATA, LOG, TRAIN, RunEvidence
from edge_retina.doctor.run.suspicion import Cause, Judgement, Mend

_FEW_STEPS = 600  # below, a pretrained backbone and fresh heads have hardly met
_FEW_EPOCHS = 12.0
_GAP = 0.25  # mAP50 of training images above that of others: it fits them already
_FACTOR = 4


def judge(run: RunEvidence) -> Judgement | None:
    """Suspect too few steps if there were few, and training images are not learnt."""
    assert run.train is not None
    few = run.steps < _FEW_STEPS or run.epochs < _FEW_EPOCHS
    others = run.val.mAP50 if run.val else 0.0
    if not few or run.has_learnt or run.train.mAP50 - others > _GAP:
        return None
    steps = max(run.steps * _FACTOR, 1500)
    return Judgement(
        (
            f"{run.steps} steps, which show each image {run.epochs:.0f} times",
            run.unlearnt_line,
        ),
        # Small steps look the same from here, and are the first thing to mend.
        run.unlearnt * (0.5 if _has_small_steps(run) else 1.0),
        Mend("train longer", (f"train.steps={steps}",)),
    )


def _has_small_steps(run: RunEvidence) -> bool:
    return not any(map(run.lacks, LOW.needs)) and LOW.suspect(run) is not None


SHORT = Cause("too-few-steps", "The training is too short", "fit", (LOG, DATA, TRAIN), judge)
