"""Suspicious labels, by detectors that were trained without them.

A detector that has seen a wrong label may have learnt it. So the pictures are divided into folds,
and those of each fold are judged by a detector that was trained on the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_retina.boxes.iou import pairwise_iou
from edge_retina.boxes.nms import non_max_suppression
from edge_retina.datasets.schema import Example
from edge_retina.runtime.detections import Detections

MISSED, MISPLACED, SWAPPED, SPURIOUS = "missed", "misplaced", "swapped", "spurious"
KIND_TEXTS = {
    MISSED: "an object without a box",
    MISPLACED: "a box that doesn't fit its object",
    SWAPPED: "a box with a wrong class",
    SPURIOUS: "a box without an object",
}
_RIGHT_IOU = 0.5
_FITS_IOU = 0.6  # a box that agrees this much with a detection is not called misplaced
_NEAR_IOU = 0.2  # below, a detection and a box are about different things
_TOUCHES_IOU = 0.3  # of another box: a detection with more is not a forgotten object
_FIRST_BIN = 20  # detections of the highest scores; each further bin is half as large again
_GROWTH = 1.5
_LEAST = 0.3  # suspicion
_FEW = 10  # objects of a class and size; below, the recall of all objects is taken


@dataclass(frozen=True)
class Suspect:
    """One suspicious label, or one that isn't there.

    Attributes:
        kind: one of `KIND_TEXTS`.
        image_id: of the picture.
        place: number of the object in the picture, from 0; -1 for an object without a box.
        label: class in the annotation; "" without a box.
        proposed: class that was detected; "" if nothing was.
        box_px: labelled, yxyx in pixels of the picture; None without a box.
        proposed_px: detected; None if nothing was.
        suspicion: 0..1, for the order.
    """

    kind: str
    image_id: str
    place: int
    label: str
    proposed: str
    box_px: tuple[float, ...] | None
    proposed_px: tuple[float, ...] | None
    suspicion: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts and lists for JSON."""
        return dict(vars(self))


class Trust:
    """The share of detections that are right, by their score: never falling with it."""

    def __init__(self, examples: Sequence[Example], detections: Sequence[Detections]) -> None:
        """Learn it from detections (out of fold) and labels, most of which are right."""
        scores, right = [np.zeros(0)], [np.zeros(0, bool)]
        for example, item in zip(examples, detections, strict=True):
            iou = _iou(item, example)
            same = item.classes[:, None] == example.classes
            scores.append(item.scores)
            right.append((iou * same).max(axis=1, initial=0) >= _RIGHT_IOU)
        every_score, is_right = np.concatenate(scores), np.concatenate(right)
        # Most detections have low scores, so equal bins would lump the sure ones together.
        highest = np.argsort(-every_score, kind="stable")
        bins = [part for part in np.split(highest, _ends(len(highest)))[::-1] if len(part)]
        self._scores = np.array([every_score[part].mean() for part in bins])
        # Half a wrong one is added, since no score is right always.
        shares = [is_right[part].sum() / (len(part) + 0.5) for part in bins]
        self._shares = np.maximum.accumulate(shares) if bins else np.zeros(0)

    def of(self, scores: np.ndarray) -> np.ndarray:
        """Return the share (N,) for scores (N,)."""
        if not len(self._scores):
            return np.zeros(len(scores))
        return np.interp(scores, self._scores, self._shares)


def _ends(count: int) -> list[int]:
    """Return where the bins of `count` detections end, but for the last."""
    ends, size = [], float(_FIRST_BIN)
    end = _FIRST_BIN
    while end < count:
        ends.append(end)
        size *= _GROWTH
        end += round(size)
    return ends


def find_suspects(
    examples: Sequence[Example], detections: Sequence[Detections], labels: Sequence[str]
) -> list[Suspect]:
    """Return suspicious labels: the worst of each kind, then the second worst of each, and so on.

    Kinds take turns because their suspicions don't compare well: a set in which many objects have
    no box would otherwise hide its few wrong classes.

    Args:
        examples: labelled pictures.
        detections: of each picture in the same order, with all scores, by a detector that was
            trained without the picture.
        labels: class names by index.
    """
    trust, recall = Trust(examples, detections), _Recall(examples, detections)
    found: list[Suspect] = []
    for example, item in zip(examples, detections, strict=True):
        judge = _Picture(example, item, labels, trust.of(item.scores))
        found += judge.with_objects(recall.of(example))
        found += judge.without_boxes()
    ranked: list[tuple[int, Suspect]] = []
    for kind in KIND_TEXTS:
        of_kind = [item for item in found if item.kind == kind and item.suspicion >= _LEAST]
        ranked += enumerate(sorted(of_kind, key=lambda item: -item.suspicion))
    return [item for _, item in sorted(ranked, key=lambda pair: (pair[0], -pair[1].suspicion))]


class _Picture:
    """The judgement of one picture."""

    def __init__(
        self, example: Example, item: Detections, labels: Sequence[str], trust: np.ndarray
    ) -> None:
        self._example, self._item, self._labels, self._trust = example, item, labels, trust
        self._found_px = item.boxes_px(example.image_hw)
        self._iou = _iou(item, example)

    def with_objects(self, recall: np.ndarray) -> list[Suspect]:
        """Judge each labelled object; `recall` (G,) says how surely such objects are found."""
        suspects = []
        for place in np.flatnonzero(~self._example.ignored).tolist():
            iou = self._iou[:, place]
            own = self._item.classes == self._example.classes[place]
            same = self._best(own & (iou >= _RIGHT_IOU))
            other = self._best(~own & (iou >= _RIGHT_IOU))
            fits = self._best(own & (iou >= _FITS_IOU))
            near = self._best(own & (iou >= _NEAR_IOU) & (iou < _FITS_IOU))
            swapped = self._of(other) * (1 - self._of(same))
            misplaced = (
                self._of(near) * (1 - float(iou[near])) * (1 - self._of(fits)) if near >= 0 else 0.0
            )
            spurious = 0.0
            if not (iou >= _NEAR_IOU).any():
                spurious = float(recall[place])
            scores = {SWAPPED: swapped, MISPLACED: misplaced, SPURIOUS: spurious}
            kind = max(scores, key=lambda name: scores[name])
            proposal = {SWAPPED: other, MISPLACED: near, SPURIOUS: -1}[kind]
            suspects.append(self._suspect(kind, place, proposal, scores[kind]))
        return suspects

    def without_boxes(self) -> list[Suspect]:
        """Return detections that no box, ignored ones included, comes near."""
        alone = np.flatnonzero(self._iou.max(axis=1, initial=0) < _TOUCHES_IOU)
        kept = non_max_suppression(
            self._found_px[alone],
            self._item.scores[alone],
            iou_threshold=_TOUCHES_IOU,
            max_kept=len(alone),
        )
        return [
            self._suspect(MISSED, -1, number, float(self._trust[number]))
            for number in alone[kept].tolist()
            if not self._in_crowd(number)
        ]

    def _best(self, among: np.ndarray) -> int:
        """Return the detection of the highest score; -1 if there is none."""
        scores = np.where(among, self._item.scores, -1.0)
        return int(scores.argmax()) if among.any() else -1

    def _of(self, number: int) -> float:
        return float(self._trust[number]) if number >= 0 else 0.0

    def _in_crowd(self, number: int) -> bool:
        regions = self._example.boxes_px[self._example.crowd]
        centre = (self._found_px[number, :2] + self._found_px[number, 2:]) / 2
        inside = (centre >= regions[:, :2]) & (centre <= regions[:, 2:])
        return bool(inside.all(axis=1).any())

    def _suspect(self, kind: str, place: int, proposal: int, suspicion: float) -> Suspect:
        example, item = self._example, self._item
        return Suspect(
            kind,
            example.image_id,
            place,
            self._labels[example.classes[place]] if place >= 0 else "",
            self._labels[item.classes[proposal]] if proposal >= 0 else "",
            _corners(example.boxes_px[place]) if place >= 0 else None,
            _corners(self._found_px[proposal]) if proposal >= 0 else None,
            round(suspicion, 4),
        )


class _Recall:
    """How surely objects of a class and size are found, at any score."""

    def __init__(self, examples: Sequence[Example], detections: Sequence[Detections]) -> None:
        keys, found = [np.zeros((0, 2), int)], [np.zeros(0, bool)]
        for example, item in zip(examples, detections, strict=True):
            same = item.classes[:, None] == example.classes
            best = (_iou(item, example) * same).max(axis=0, initial=0)
            keys.append(_class_and_size(example))
            found.append(best >= _RIGHT_IOU)
        self._keys, self._found = np.concatenate(keys), np.concatenate(found)
        self._overall = float(self._found.mean()) if len(self._found) else 0.0

    def of(self, example: Example) -> np.ndarray:
        """Return it (G,) for the objects of a picture."""
        return np.array([self._of(key) for key in _class_and_size(example)])

    def _of(self, key: np.ndarray) -> float:
        alike = (self._keys == key).all(axis=1)
        return float(self._found[alike].mean()) if alike.sum() >= _FEW else self._overall


def _class_and_size(example: Example) -> np.ndarray:
    """Return class and octave of size (G, 2) of the objects of a picture."""
    sides = (example.boxes_px[:, 2:] - example.boxes_px[:, :2]).astype(float)
    share = np.sqrt(sides.prod(axis=1).clip(1e-9)) / np.sqrt(np.prod(example.image_hw))
    octave = np.floor(np.log2(share)).astype(int)
    return np.stack([example.classes.astype(int), octave], axis=1)


def _iou(item: Detections, example: Example) -> np.ndarray:
    """Return the IoU (D, G) of detections and objects."""
    return pairwise_iou(item.boxes_px(example.image_hw), example.boxes_px)


def _corners(box: np.ndarray) -> tuple[float, ...]:
    return tuple(round(float(side), 1) for side in box)
