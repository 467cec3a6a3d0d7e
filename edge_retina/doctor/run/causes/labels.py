"""Labels that are wrong: classes mixed up, one class under two names, objects left out."""

from __future__ import annotations

import dataclasses
from itertools import combinations

import numpy as np

from edge_retina.boxes.iou import pairwise_iou
from edge_retina.doctor.run.evidence import FOUND, TRAIN, RunEvidence
from edge_retina.doctor.run.outputs import Outputs
from edge_retina.doctor.run.suspicion import Cause, Judgement, Mend
from edge_retina.evaluation.matches import find_matches
from edge_retina.runtime.detections import Detections

_FOUND_IOU = 0.5
_NEAR_IOU = 0.1  # below, a detection has nothing to do with an object
_FEWEST = 20  # objects of which shares are taken
_FEWEST_OF_CLASS = 5
_CONFIDENT = 0.5  # quantile of the scores of right detections: what the network is sure of
_MIXED = 0.15  # share of confidently found objects that have another class
_NO_WITNESS = 0.5  # above, it is the network that is wrong
# Total variation distance between who is taken for whom and wrong classes drawn at random. Of 26
# spoilt trainings, those with shuffled classes had .23 and .29. Poor networks that take similar
# things for one another had .44 and more.
_BY_CHANCE = 0.36
_SYMMETRIC = 0.25  # share of either class that is taken for the other
_MERGING = 0.01  # mAP gained by counting two classes as one
_UNLABELLED = 0.12  # confident detections of nothing over confident right ones


def judge_mixed(run: RunEvidence) -> Judgement | None:
    """Suspect the class names of objects if confident detections of many have another one.

    A network that has learnt little takes similar classes for one another. Where the labels are
    mixed up, any class is found in place of any other.
    """
    assert run.train is not None
    pairs = _confident_pairs(run.train)
    if len(pairs) < _FEWEST or len(run.labels) < 2:
        return None
    wrong = pairs[:, 0] != pairs[:, 1]
    twins = {place for one, other, _, _ in _twins(run) for place in ((one, other), (other, one))}
    wrong &= np.array([tuple(pair) not in twins for pair in pairs.tolist()])
    share = float(wrong.mean())
    if not _MIXED <= share <= _NO_WITNESS or _order(pairs[wrong], len(run.labels)) > _BY_CHANCE:
        return None
    outputs = run.train
    return Judgement(
        (
            f"{share:.0%} of the training objects that are found with confidence have another "
            f"class in the labels ({int(wrong.sum())} of {len(pairs)}), any instead of any other",
            f"mAP50 on training images {outputs.mAP50:.2f}, "
            f"{outputs.mAP50_without_classes:.2f} if classes didn't count",
        ),
        max(outputs.mAP50_without_classes - outputs.mAP50, share) * 0.6,
        Mend("look at these objects and correct their classes"),
    )


def judge_twice(run: RunEvidence) -> Judgement | None:
    """Suspect that two names mean one class if either is taken for the other all the time."""
    assert run.train is not None
    twins = _twins(run)
    if not twins:
        return None
    outputs = run.val or run.train
    gain = sum(_score_merged(outputs, one, other) - outputs.mAP for one, other, _, _ in twins)
    if gain < _MERGING:
        return None  # two things that it can't tell apart yet
    lines = [
        f"'{run.labels[one]}' is found as '{run.labels[other]}' in {there:.0%} of the objects "
        f"on training images, the other way round in {back:.0%}"
        for one, other, there, back in twins
    ]
    lines.append(f"as one class they would have a mAP {100 * gain:+.1f} points from here")
    return Judgement(tuple(lines), gain, Mend("give both the same name in the annotations"))


def judge_missing(run: RunEvidence) -> Judgement | None:
    """Suspect missing boxes if the network finds much on training images that isn't labelled."""
    assert run.train is not None
    outputs = run.train
    threshold = _confident_score(outputs)
    if threshold is None:
        return None
    right, nothing, examples = 0, 0, []
    for example, item in zip(outputs.examples, outputs.detections, strict=True):
        shown = item.above(threshold)
        iou = pairwise_iou(shown.boxes_px(example.image_hw), example.boxes_px)
        best = iou.max(axis=1, initial=0)
        right += int((best >= _FOUND_IOU).sum())
        alone = int((best < _NEAR_IOU).sum())
        nothing += alone
        if alone:
            examples.append((alone, example.image_id))
    share = nothing / max(right, 1)
    if right < _FEWEST or share < _UNLABELLED:
        return None
    worst = ", ".join(name for _, name in sorted(examples, reverse=True)[:3])
    return Judgement(
        (
            f"on training images {nothing} confident detections (score {threshold:.2f} and more) "
            f"touch no labelled object, beside {right} that are right",
            f"most of them in {worst}",
        ),
        0.4 * share,
        Mend("look at these images and label what was left out"),
    )


def _confident_score(outputs: Outputs) -> float | None:
    """Return the median score of the detections that found an object; None if there are few."""
    pairs = outputs.pairs
    scores = pairs.score[pairs.iou >= _FOUND_IOU]
    return float(np.quantile(scores, _CONFIDENT)) if len(scores) >= _FEWEST else None


def _confident_pairs(outputs: Outputs) -> np.ndarray:
    """Return labelled and detected class (N, 2) of the objects that are found with confidence."""
    pairs, threshold = outputs.pairs, _confident_score(outputs)
    if threshold is None:
        return np.zeros((0, 2), int)
    sure = (pairs.iou >= _FOUND_IOU) & (pairs.score >= threshold)
    return np.stack([pairs.labelled[sure], pairs.detected[sure]], axis=1)


def _order(pairs: np.ndarray, classes: int) -> float:
    """Return how far wrong pairs (N, 2) of classes are from wrong labels by chance, 0 to 1."""
    counts = np.zeros((classes, classes))
    np.add.at(counts, (pairs[:, 1], pairs[:, 0]), 1)
    by_chance = np.repeat(counts.sum(axis=1, keepdims=True), classes, axis=1) / (classes - 1)
    np.fill_diagonal(by_chance, 0)
    return float(np.abs(counts - by_chance).sum() / 2 / max(len(pairs), 1))


def _twins(run: RunEvidence) -> list[tuple[int, int, float, float]]:
    """Return pairs of classes that are taken for each other, with both shares."""
    assert run.train is not None
    pairs = run.train.pairs
    found = pairs.iou >= _FOUND_IOU
    labelled, detected = pairs.labelled[found], pairs.detected[found]
    twins = []
    for one, other in combinations(range(len(run.labels)), 2):
        there, back = (
            _share_found_as(that, detected[labelled == this])
            for this, that in ((one, other), (other, one))
        )
        # Of two equally frequent names for one thing each is right half of the time. The rarer one
        # may be found as the other nearly always, and the other way round hardly ever.
        often = min(there, back) >= _SYMMETRIC
        if often or (max(there, back) >= 0.5 and min(there, back) > 0.05):
            twins.append((one, other, there, back))
    return twins


def _share_found_as(label: int, detected: np.ndarray) -> float:
    """Return the share of detections (N,) with a class; 0 of too few to tell."""
    return float((detected == label).mean()) if len(detected) >= _FEWEST_OF_CLASS else 0.0


def _score_merged(outputs: Outputs, one: int, other: int) -> float:
    """Return the mAP with `other` renamed to `one`."""

    def renamed(classes: np.ndarray) -> np.ndarray:
        return np.where(classes == other, one, classes).astype(classes.dtype)

    matches = find_matches(
        [dataclasses.replace(x, classes=renamed(x.classes)) for x in outputs.examples],
        [Detections(x.boxes_norm, renamed(x.classes), x.scores) for x in outputs.detections],
        outputs.labels,
    )
    return matches.mAP()


MIXED = Cause(
    "classes-mixed-up", "Many objects have a wrong class", "labels", (TRAIN, FOUND), judge_mixed
)
TWICE = Cause("class-twice", "One class has two names", "labels", (TRAIN, FOUND), judge_twice)
MISSING = Cause(
    "boxes-missing", "Many objects are not labelled", "labels", (TRAIN, FOUND), judge_missing
)
