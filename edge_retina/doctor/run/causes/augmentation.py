"""Augmentation that hides or spoils what is to be learnt."""

from __future__ import annotations

import json

from edge_retina.config import augmentation_level
from edge_retina.doctor.run.causes.resolution import RESOLUTION
from edge_retina.doctor.run.evidence import DATA, LOG, PROBE, RunEvidence
from edge_retina.doctor.run.suspicion import Cause, Judgement, Mend
from edge_retina.input_pipeline.augmentation_effect import examine_augmentation
from edge_retina.schema import to_plain

_SPOILT = 0.7  # of what keeps it from learning, if the objects themselves are spoilt
_HARDER = 1.7  # class loss of augmented images over that of the same images as they are
_UNLEARNT = 0.12  # class loss of augmented images; below, even the hard ones are learnt


def judge(run: RunEvidence) -> Judgement | None:
    """Suspect the augmentation if it spoils objects, or makes images much harder."""
    return _spoils(run) or _is_harder(run)


def _spoils(run: RunEvidence) -> Judgement | None:
    """Look at what becomes of the objects, if training images were not learnt."""
    assert run.grid is not None
    if run.has_learnt or not run.train_examples or run.train is None:
        return None
    settings, seed = run.config.augmentation, run.config.seed
    # Anchors that reach few objects reach fewer after any augmentation: that is the anchors' part.
    _, warnings = examine_augmentation(
        run.train_examples, run.grid, settings, seed=seed, leave_out=("uncovered",)
    )
    if not warnings:
        return None
    # Likewise objects that are small in the images already cross any limit sooner.
    share = _SPOILT / 2 if RESOLUTION.suspect(run) else _SPOILT
    return Judgement(
        (*warnings, run.unlearnt_line),
        share * run.unlearnt,
        _mend(run),
    )


def _is_harder(run: RunEvidence) -> Judgement | None:
    """Compare the losses with and without augmentation."""
    assert run.log is not None
    probe = run.log.last_probe
    if not {"train", "augmented"} <= probe.keys():
        return None
    plain, augmented = probe["train"]["cls_loss"], probe["augmented"]["cls_loss"]
    ratio = augmented / max(plain, 1e-6)
    if ratio < _HARDER or augmented < _UNLEARNT:
        return None
    val = probe.get("val", {}).get("cls_loss")
    if val is not None and val > augmented:
        return None  # it still makes training images easier than new ones: that is its use
    return Judgement(
        (
            f"training images have a class loss of {augmented:.2f} as augmented and {plain:.2f} "
            f"as they are: {ratio:.1f} times",
            *((f"new images have {val:.2f}, less than augmented ones",) if val else ()),
        ),
        0.02 + 0.03 * (ratio - 1),
        _mend(run),
    )


def _mend(run: RunEvidence) -> Mend:
    return Mend("augment less", (*level_settings(run, "light"), "train.plain_steps=0.3"))


def level_settings(run: RunEvidence, level: str) -> tuple[str, ...]:
    """Return the fields of a level that differ from the RUN's.

    A saved config gives every field, so the name of the level would change nothing.
    """
    own = run.config.to_dict()["augmentation"]
    return tuple(
        f"augmentation.{name}={json.dumps(value)}"
        for name, value in to_plain(augmentation_level(level)).items()
        if own[name] != value
    )


STRONG = Cause(
    "augmentation-strong", "The augmentation is too strong", "fit", (LOG, PROBE, DATA), judge
)
