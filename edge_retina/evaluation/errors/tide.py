"""What mAP50 each kind of error costs, after TIDE.

Source: Bolya et al. 2020, "TIDE: A General Toolbox for Identifying Object Detection Errors". The
definitions are those of its authors' package (tidecv 1.0.1): IoU .5 to be right, .1 to be
background; the 100 best detections of a picture over all classes; the order of the questions that
sort a false alarm into a kind; and each kind mended by itself, from the same start.

Deviations: crowd regions and difficult objects are treated as in this package's COCO metrics: a
detection of the same class that lies in a crowd region (half of its area), or that has an IoU of .5
with a difficult object, is neither right nor an error. tidecv knows no difficult objects, asks for
more than half, and still counts such detections among the errors. A class without an object in the
split is left out of the mean, as COCO does it; tidecv counts it as 0.

Precision is read at recalls of exactly i / 100. pycocotools' differ from these in the last bit here
and there, so the two mAP50 may be some ten-thousandths apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_retina.boxes.iou import area, pairwise_iou
from edge_retina.datasets.schema import Example
from edge_retina.runtime.detections import Detections

CLASSIFICATION, LOCALIZATION, BOTH, DUPLICATE, BACKGROUND, MISSED = range(6)
KINDS = ("classification", "localization", "both", "duplicate", "background", "missed")

_POSITIVE_IOU = 0.5
_BACKGROUND_IOU = 0.1
_MAX_DETECTIONS = 100  # of a picture
_RECALLS = np.arange(101) / 100
_RIGHT = -1  # in the place of a kind


@dataclass(frozen=True)
class ErrorGains:
    """The mAP50 that mending each kind of error would give back; fractions of 1.

    Attributes:
        mAP50: without mending, by TIDE's definitions.
        gains: by kind; never negative. They don't add up to what is missing: an object that is both
            badly placed and found twice needs two kinds mended.
        counts: number of errors by kind; of missed objects under "missed".
        false_positives: gain if no false alarm had a score above a right detection's.
        false_negatives: gain if every object that was not found did not exist.
    """

    mAP50: float
    gains: dict[str, float]
    counts: dict[str, int]
    false_positives: float
    false_negatives: float

    def to_dict(self) -> dict[str, Any]:
        """Return the decomposition as it stands in the JSON of `evaluate --errors`."""
        return {
            "mAP50": self.mAP50,
            "kinds": {
                kind: {"mAP50_gain": self.gains[kind], "count": self.counts[kind]} for kind in KINDS
            },
            "special": {
                "false_positives": {"mAP50_gain": self.false_positives},
                "false_negatives": {"mAP50_gain": self.false_negatives},
            },
        }


@dataclass(frozen=True)
class ErrorTable:
    """Every detection and every object of a split, and what is wrong with it.

    Ignored detections and objects are left out. Detections stand by picture and falling score.

    Attributes:
        label: (D,) class of each detection.
        score: (D,).
        kind: (D,) index into `KINDS`; -1 for a right one.
        mended_label: (D,) class under which it would be right with its class or its box mended; -1
            if there is nothing to be found by it, because its object was found or another false
            alarm of a higher score would be mended to find it.
        object_label: (N,) class of each object.
        found: (N,) bool.
        missed: (N,) bool; neither found, nor would it be by mending a class or a box.
        classes: number of classes.
    """

    label: np.ndarray
    score: np.ndarray
    kind: np.ndarray
    mended_label: np.ndarray
    object_label: np.ndarray
    found: np.ndarray
    missed: np.ndarray
    classes: int


def error_table(
    examples: Sequence[Example], detections: Sequence[Detections], *, classes: int
) -> ErrorTable:
    """Sort every false alarm and every object that was not found into a kind of error.

    Args:
        examples: the labelled pictures.
        detections: of each picture, in the same order.
        classes: number of classes.
    """
    pictures = [_judge(*pair) for pair in zip(examples, detections, strict=True)]
    parts = zip(*pictures, strict=True) if pictures else [[]] * 7
    label, score, kind, mended, objects, found, missed = (
        np.concatenate([[], *column]) for column in parts
    )
    return ErrorTable(
        label=label.astype(int),
        score=score,
        kind=kind.astype(int),
        mended_label=mended.astype(int),
        object_label=objects.astype(int),
        found=found.astype(bool),
        missed=missed.astype(bool),
        classes=classes,
    )


def error_gains(table: ErrorTable) -> ErrorGains:
    """Return the mAP50 that each kind of error costs.

    The table must have an object.
    """
    positives = np.bincount(table.object_label, minlength=table.classes)
    right = table.kind == _RIGHT
    start = _mean_precision(table.label, table.score, right, positives, positives)
    found = np.bincount(table.object_label[table.found], minlength=table.classes)
    mended = {kind: _mended(table, number, positives) for number, kind in enumerate(KINDS)}
    counts = np.bincount(table.kind[~right], minlength=len(KINDS))
    counts[MISSED] = np.count_nonzero(table.missed)
    order = _false_alarms_first(right)
    label, score, right = table.label[order], table.score[order], right[order]
    return ErrorGains(
        mAP50=start,
        gains={kind: max(value - start, 0.0) for kind, value in mended.items()},
        counts=dict(zip(KINDS, counts.tolist(), strict=True)),
        false_positives=_mean_precision(label, right.astype(float), right, positives, positives)
        - start,
        false_negatives=_mean_precision(label, score, right, found, positives) - start,
    )


def _mended(table: ErrorTable, kind: int, positives: np.ndarray) -> float:
    """Return the mAP50 with all errors of one kind mended.

    A wrong class or box is mended if that finds an object; all other false alarms of the kind are
    taken away. Missed objects are taken away too.
    """
    of_kind = table.kind == kind
    helps = of_kind & (table.mended_label >= 0)
    label = np.where(helps, table.mended_label, table.label)
    order = _false_alarms_first(table.kind == _RIGHT)
    order = order[~(of_kind & ~helps)[order]]
    right = (table.kind == _RIGHT) | helps
    wanted = positives
    if kind == MISSED:
        lost = np.bincount(table.object_label[table.missed], minlength=table.classes)
        wanted = positives - lost
    return _mean_precision(label[order], table.score[order], right[order], wanted, positives)


def _false_alarms_first(right: np.ndarray) -> np.ndarray:
    """Return the order in which tidecv lists detections for mending; it decides equal scores."""
    return np.concatenate([np.flatnonzero(~right), np.flatnonzero(right)])


def _mean_precision(
    label: np.ndarray,
    score: np.ndarray,
    right: np.ndarray,
    wanted: np.ndarray,
    positives: np.ndarray,
) -> float:
    """Return the mean AP over the classes with an object.

    Args:
        label: (D,) classes; equal scores stay in this order.
        score: (D,).
        right: (D,) bool.
        wanted: (K,) number of objects to find.
        positives: (K,) the same before anything was mended. A class whose objects have all been
            taken away has AP 0 as long as it has detections, and then drops out, as in tidecv.
    """
    precisions = []
    for index in np.flatnonzero(positives):
        rows = np.flatnonzero(label == index)
        if not len(rows) and not wanted[index]:
            continue
        rows = rows[np.argsort(-score[rows], kind="stable")]
        precisions.append(_average_precision(right[rows], int(wanted[index])))
    return float(np.mean(precisions)) if precisions else 0.0


def _average_precision(right: np.ndarray, wanted: int) -> float:
    """Return the AP at 101 recalls of one class's detections by falling score."""
    if not wanted or not len(right):
        return 0.0
    found = np.cumsum(right)
    precision = found / np.arange(1, len(right) + 1)
    precision = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return float(precision[np.searchsorted(found / wanted, _RECALLS)].mean())


def _judge(example: Example, detections: Detections) -> tuple[np.ndarray, ...]:
    """Return the columns of `ErrorTable` of one picture."""
    best = np.argsort(-detections.scores, kind="stable")[:_MAX_DETECTIONS]
    boxes = detections.boxes_px(example.image_hw)[best].astype(np.float64)
    label, score = detections.classes[best], detections.scores[best]
    there = ~example.ignored
    object_label = example.classes[there]
    iou = pairwise_iou(boxes, example.boxes_px[there].astype(np.float64))
    same = label[:, None] == object_label
    right, found = _match(iou * same)
    kept = right | ~is_ignored(boxes, label, example)
    kind, target = _kinds(iou, same, found)
    kind = np.where(right, _RIGHT, kind)
    claims = np.flatnonzero(kept & ~right & (target >= 0))
    claims = claims[~found[target[claims]]]
    objects, first = np.unique(target[claims], return_index=True)
    mended = np.full(len(label), -1)
    mended[claims[first]] = object_label[objects]
    missed = ~found
    missed[objects] = False
    return label[kept], score[kept], kind[kept], mended[kept], object_label, found, missed


def _match(iou: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give each detection (D,), best score first, the object that it overlaps most, each once.

    Args:
        iou: (D, N), 0 where the classes differ.

    Returns:
        Which detections (D,) are right, and which objects (N,) are found.
    """
    left = iou.copy()
    right, found = np.zeros(len(iou), bool), np.zeros(iou.shape[1], bool)
    for row in np.flatnonzero((iou >= _POSITIVE_IOU).any(axis=1)):
        chosen = int(left[row].argmax())
        if left[row, chosen] >= _POSITIVE_IOU:
            right[row] = found[chosen] = True
            left[:, chosen] = 0
    return right, found


def is_ignored(boxes_px: np.ndarray, label: np.ndarray, example: Example) -> np.ndarray:
    """Return which detections (D,) lie in a crowd region or on a difficult object of their class.

    Args:
        boxes_px: (D, 4) float64 yxyx in pixels of the picture.
        label: (D,) their classes.
        example: the picture.
    """
    chosen = example.ignored
    regions = example.boxes_px[chosen].astype(np.float64)
    top_left = np.maximum(boxes_px[:, None, :2], regions[None, :, :2])
    bottom_right = np.minimum(boxes_px[:, None, 2:], regions[None, :, 2:])
    common = np.maximum(bottom_right - top_left, 0).prod(axis=2)
    own = np.maximum(area(boxes_px), np.finfo(float).tiny)[:, None]
    overlap = np.where(example.crowd[chosen], common / own, pairwise_iou(boxes_px, regions))
    same = label[:, None] == example.classes[chosen]
    return ((overlap >= _POSITIVE_IOU) & same).any(axis=1)


def _kinds(iou: np.ndarray, same: np.ndarray, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the kind of error (D,) of false alarms, and which object (D,) mending would find.

    The object is -1 for kinds that are mended by taking the detection away.

    Args:
        iou: (D, N) with every object.
        same: (D, N) bool, of the same class.
        found: (N,) bool, by a right detection.
    """
    if not iou.shape[1]:
        return np.full(len(iou), BACKGROUND), np.full(len(iou), -1)
    of_class, of_others = iou * same, iou * ~same
    overlap = of_class.max(axis=1)
    questions = {
        LOCALIZATION: (overlap >= _BACKGROUND_IOU) & (overlap <= _POSITIVE_IOU),
        CLASSIFICATION: of_others.max(axis=1) >= _POSITIVE_IOU,
        DUPLICATE: (of_class * found).max(axis=1) >= _POSITIVE_IOU,
        BACKGROUND: iou.max(axis=1) <= _BACKGROUND_IOU,
    }
    kind = np.select(list(questions.values()), list(questions), default=BOTH)
    target = np.select(
        [kind == LOCALIZATION, kind == CLASSIFICATION],
        [of_class.argmax(axis=1), of_others.argmax(axis=1)],
        default=-1,
    )
    return kind, target
