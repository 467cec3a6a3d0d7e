"""Networks that know their training images by heart, and BatchNorms that know others."""

from __future__ import annotations

from edge_retina.doctor.run.causes.augmentation import level_settings
from edge_retina.doctor.run.evidence import LOG, PROBE, TRAIN, VAL, RunEvidence
from edge_retina.doctor.run.suspicion import Cause, Judgement, Mend

_GAP = 0.25  # mAP
_RISEN = 1.1  # validation loss over its lowest
_OTHER_STATISTICS = 1.5
_SETTLED = 300  # steps; before, statistics lag behind the weights and a longer training mends it


def judge_overfitting(run: RunEvidence) -> Judgement | None:
    """Suspect overfitting if the validation loss has risen and training images are far better."""
    assert run.log is not None
    assert run.train is not None
    assert run.val is not None
    losses = [
        record["probe"]["val"]["cls_loss"]
        for record in run.log.evaluations
        if "val" in record.get("probe", {})
    ]
    gap = run.train.mAP - run.val.mAP
    if len(losses) < 3 or losses[-1] < _RISEN * min(losses) or gap < _GAP:
        return None
    return Judgement(
        (
            f"mAP {run.train.mAP:.3f} on training images, {run.val.mAP:.3f} on others",
            f"the class loss of validation images has risen from {min(losses):.2f} to "
            f"{losses[-1]:.2f}",
        ),
        0.1 * gap,
        Mend(
            "add images if you can; else augment more or train less",
            level_settings(run, "strong"),
        ),
    )


def judge_batchnorm(run: RunEvidence) -> Judgement | None:
    """Suspect the BatchNorm statistics if those of a batch do much better."""
    assert run.log is not None
    probe = run.log.last_probe
    if not {"train", "batch_statistics"} <= probe.keys():
        return None
    moving, batch = (sum(probe[name].values()) for name in ("train", "batch_statistics"))
    ratio = moving / max(batch, 1e-6)
    if ratio < _OTHER_STATISTICS or run.steps < _SETTLED:
        return None
    return Judgement(
        (
            f"training images have a loss of {moving:.2f} with the statistics that are kept and "
            f"{batch:.2f} with those of each batch",
        ),
        min(0.1 * (ratio - 1), run.below_good),
        Mend("estimate the statistics again", ("train.reestimate_batchnorm=50",)),
    )


OVERFITTING = Cause(
    "overfitting",
    "The network knows its training images by heart",
    "generalisation",
    (LOG, PROBE, TRAIN, VAL),
    judge_overfitting,
)
BATCHNORM = Cause(
    "batchnorm",
    "The BatchNorm statistics don't fit the weights",
    "broken",
    (LOG, PROBE),
    judge_batchnorm,
)
