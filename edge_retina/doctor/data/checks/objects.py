"""Checks of objects as the network sees them: their size at its input, and their neighbours."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from edge_retina.boxes.nms import non_max_suppression
from edge_retina.datasets.objects import LEARNABLE_PX, boxes_at_input, object_classes
from edge_retina.doctor.data.checks.boxes import duplicate_mask
from edge_retina.doctor.data.object_table import groups_of
from edge_retina.doctor.data.survey import Survey
from edge_retina.doctor.findings import Case, Finding, Kind

_SMALL_SHARE = 0.02  # objects below it cost less than two points of recall at the most
COCO_SMALL_PX = 32.0
_EXTREME_ASPECT = 5.0  # the default anchors end at 2; IoU 0.5 is out of their reach from 4 on
_CROWDING_SHARE = 0.001  # less is the odd pair; from a hundredth on it caps recall noticeably
_CROWDED_SHARE = 0.01
_NMS_CHOICES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)

SMALL = Kind(
    "small-object",
    "warning",
    f"Objects under {LEARNABLE_PX:.0f} px at the network's input",
    "the finest feature map has one cell per 8 px; objects smaller than a cell are hardly learned",
    "raise model.image_hw, or cut the pictures into overlapping tiles; see the advice",
)
MOSTLY_SMALL = Kind(
    "mostly-small-objects",
    "note",
    f"Objects under {COCO_SMALL_PX:.0f} px at the network's input, more than half of all",
    "every published detector is worst at objects of this size, COCO's “small”; RetinaNet's "
    "default anchors start there",
    "use fitted anchors, and try a larger model.image_hw before a larger backbone",
)
ASPECT = Kind(
    "extreme-aspect",
    "note",
    f"Objects with an aspect ratio beyond {_EXTREME_ASPECT:.0f} : 1 at the network's input",
    "no default anchor reaches IoU 0.5 with them",
    'use fitted anchors (anchors.kind = "fitted")',
)
MANY = Kind(
    "too-many-objects",
    "warning",
    "Pictures with more objects than the model returns",
    "objects beyond export.max_detections are missed, however well they are detected",
    "raise export.max_detections; see the advice",
)
CROWDING = Kind(
    "crowding",
    "note",
    "Objects of one class that overlap more than NMS allows",
    "NMS keeps only one of two such objects, even if the model finds both perfectly",
    "raise export.nms_iou, if that gains more than its duplicate detections cost",
)


@dataclass(frozen=True)
class ObjectStatistics:
    """Objects of all splits at the network's input, crowds and difficult ones left out.

    Attributes:
        image_hw: height and width of the input in pixels.
        sizes_hw: (N, 2) float heights and widths in pixels.
        classes: (N,) indices into the labels.
        per_image: (images,) objects of each picture.
        lost_to_nms: by IoU threshold, the share of objects that suppression drops at best.
    """

    image_hw: tuple[int, int]
    sizes_hw: np.ndarray
    classes: np.ndarray
    per_image: np.ndarray
    lost_to_nms: dict[float, float]

    @property
    def sides(self) -> np.ndarray:
        """(N,) geometric means of height and width in pixels."""
        return np.sqrt(self.sizes_hw.prod(axis=1))

    @property
    def aspects(self) -> np.ndarray:
        """(N,) height / width."""
        return self.sizes_hw[:, 0] / self.sizes_hw[:, 1]

    def small_share(self, scale: float) -> float:
        """Return the share of objects under the learnable size at an input `scale` times as big."""
        sides = self.sides * scale
        return float((sides < LEARNABLE_PX).mean()) if len(sides) else 0.0


def measure_objects(survey: Survey, image_hw: tuple[int, int]) -> ObjectStatistics:
    """Measure the usable objects at an input of `image_hw` pixels."""
    usable = survey.usable
    boxes = boxes_at_input(usable, image_hw)
    thresholds = sorted({*_NMS_CHOICES, survey.config.export.nms_iou})
    return ObjectStatistics(
        image_hw=image_hw,
        sizes_hw=boxes[:, 2:].astype(np.float64) - boxes[:, :2],
        classes=object_classes(usable).astype(np.int64),
        per_image=np.bincount(usable.owners[~usable.crowd], minlength=len(usable)),
        lost_to_nms={threshold: _lost_share(survey, threshold) for threshold in thresholds},
    )


def check_objects(survey: Survey, statistics: ObjectStatistics) -> list[Finding]:
    """Return all findings about objects at the network's input."""
    return [
        *_small(survey, statistics),
        *_mostly_small(statistics),
        *_aspects(survey, statistics),
        *_many(survey),
        *_crowding(survey, statistics),
    ]


def _small(survey: Survey, statistics: ObjectStatistics) -> list[Finding]:
    small = statistics.sides < LEARNABLE_PX
    if not len(small) or small.mean() <= _SMALL_SHARE:
        return []
    sides = dict(groups_of(statistics.classes, statistics.sides))
    counts = np.bincount(statistics.classes[small])
    cases = [
        Case(
            survey.labels[label],
            f"{counts[label]} of {len(sides[label])}; median side {np.median(sides[label]):.0f} px",
        )
        for label in np.argsort(-counts).tolist()
        if counts[label]
    ]
    return SMALL.found(cases, count=int(small.sum()))


def _mostly_small(statistics: ObjectStatistics) -> list[Finding]:
    small = int((statistics.sides < COCO_SMALL_PX).sum())
    if 2 * small <= len(statistics.sides):
        return []
    share, median = small / len(statistics.sides), float(np.median(statistics.sides))
    case = Case("all splits", f"{share:.1%} of all objects; median side {median:.0f} px")
    return MOSTLY_SMALL.found([case], count=small)


def _aspects(survey: Survey, statistics: ObjectStatistics) -> list[Finding]:
    lengths = np.maximum(statistics.aspects, 1 / statistics.aspects)
    owner = np.repeat(np.arange(len(survey.usable)), statistics.per_image)
    extreme = np.flatnonzero(lengths > _EXTREME_ASPECT)
    cases = [
        Case(
            survey.name_of(survey.usable[int(owner[i])].path),
            f"{survey.labels[statistics.classes[i]]}: {statistics.sizes_hw[i, 0]:.0f} px high, "
            f"{statistics.sizes_hw[i, 1]:.0f} px wide",
        )
        for i in extreme[np.argsort(-lengths[extreme], kind="stable")]
    ]
    return ASPECT.found(cases)


def _many(survey: Survey) -> list[Finding]:
    limit = survey.config.export.max_detections
    usable = survey.usable
    counts = np.bincount(usable.owners[~usable.ignored], minlength=len(usable))
    many = np.flatnonzero(counts > limit)
    many = many[np.argsort(-counts[many], kind="stable")]
    cases = [
        Case(survey.name_of(usable[i].path), f"{counts[i]} objects; the model returns {limit}")
        for i in many.tolist()
    ]
    return MANY.found(cases)


def _crowding(survey: Survey, statistics: ObjectStatistics) -> list[Finding]:
    threshold = survey.config.export.nms_iou
    share = statistics.lost_to_nms[threshold]
    if share < _CROWDING_SHARE:
        return []
    lost = lost_to_nms(survey, threshold)
    table = survey.objects
    detail = f"dropped in favour of a neighbour at IoU {threshold:g}"
    cases = table.cases(lost, lambda _: detail)
    recall = ", ".join(f"{value:.2%} at {at:g}" for at, value in statistics.lost_to_nms.items())
    summary = Case("all splits", f"objects lost by NMS threshold: {recall}")
    kind = CROWDING if share < _CROWDED_SHARE else replace(CROWDING, severity="warning")
    return kind.found([summary, *cases], count=int(lost.sum()))


def _lost_share(survey: Survey, threshold: float) -> float:
    counted = int((survey.objects.sound & ~duplicate_mask(survey.objects)).sum())
    return float(lost_to_nms(survey, threshold).sum()) / max(counted, 1)


def lost_to_nms(survey: Survey, threshold: float) -> np.ndarray:
    """Return (N,) bool over the survey's objects: suppression drops it though it is detected.

    All objects are given equal scores and their own boxes, as by a perfect detector. Objects that
    are boxed twice are another mistake and not counted.
    """
    table = survey.objects
    pairs, iou = table.pairs
    same = table.classes[pairs[:, 0]] == table.classes[pairs[:, 1]]
    usable = table.sound & ~duplicate_mask(table)
    close = same & (iou > threshold) & usable[pairs].all(axis=1)
    lost = np.zeros(len(table), bool)
    involved = np.unique(pairs[close])
    keys = table.image[involved].astype(np.int64) * (len(table.labels) + 1)
    keys += table.classes[involved]
    for _, group in groups_of(keys, involved):
        kept = non_max_suppression(
            table.boxes_px[group],
            np.ones(len(group)),
            iou_threshold=threshold,
            max_kept=len(group),
        )
        lost[np.delete(group, kept)] = True
    return lost
