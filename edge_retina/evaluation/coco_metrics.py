"""COCO detection metrics of a set of images: pycocotools' numbers, of 5,000 images in seconds."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_retina.datasets.schema import Example
from edge_retina.errors import DatasetError
from edge_retina.evaluation.assignment import SIZES, Assignment, assign_by_size
from edge_retina.evaluation.matches import select_matches
from edge_retina.evaluation.matching import ranks_within
from edge_retina.runtime.detections import Detections

_RECALL_BY_SIZE = ("AR_small", "AR_medium", "AR_large")


@dataclass(frozen=True)
class CocoMetrics:
    """COCO metrics, 0..1; None where there was nothing to find.

    Attributes:
        mAP: average precision over IoU .50:.05:.95 and classes.
        mAP50, mAP75: at one IoU.
        mAP_small, mAP_medium, mAP_large: by object area in pixels of the original image.
        AR1, AR10, AR100: average recall with at most that many detections per image.
        per_class: AP by label, in the labels' order.
        images: number of images.
        detections: number of detections, of any score.
        AR_small, AR_medium, AR_large: AR100 by object area; None also in records from before these
            were kept.
    """

    mAP: float
    mAP50: float
    mAP75: float
    mAP_small: float | None
    mAP_medium: float | None
    mAP_large: float | None
    AR1: float
    AR10: float
    AR100: float
    per_class: dict[str, float | None]
    images: int
    detections: int
    AR_small: float | None = None
    AR_medium: float | None = None
    AR_large: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the metrics as they stand in the JSON of `evaluate`."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> CocoMetrics:
        """Return the metrics in the JSON of `evaluate`; its other fields are ignored."""
        absent = dict.fromkeys(_RECALL_BY_SIZE)
        return cls(**{item.name: {**absent, **tree}[item.name] for item in dataclasses.fields(cls)})


def evaluate_detections(
    examples: Sequence[Example], detections: Sequence[Detections], labels: Sequence[str]
) -> CocoMetrics:
    """Compare detections with the labelled boxes.

    Args:
        examples: the labelled images; crowd regions and difficult objects are neither to be found
            nor false alarms.
        detections: of each image, in the same order.
        labels: class names by index.

    Raises:
        DatasetError: not one item of detections per image, or no object to find.
    """
    if len(examples) != len(detections):
        raise DatasetError(f"{len(examples)} images, but detections of {len(detections)}")
    check_objects(examples)
    precision: dict[str, np.ndarray] = {}
    recall: dict[str, dict[int, float | None]] = {}
    assignments = assign_by_size(examples, detections, labels, sizes=tuple(SIZES))
    for size, assignment in zip(SIZES, assignments, strict=True):
        precision[size] = select_matches(assignment).average_precision()[0]
        recall[size] = _average_recall(assignment, limits=(1, 10, 100))
    return CocoMetrics(
        mAP=_known(_mean(precision["all"])),
        mAP50=_known(_mean(precision["all"][:, 0])),
        mAP75=_known(_mean(precision["all"][:, 5])),
        mAP_small=_mean(precision["small"]),
        mAP_medium=_mean(precision["medium"]),
        mAP_large=_mean(precision["large"]),
        AR1=_known(recall["all"][1]),
        AR10=_known(recall["all"][10]),
        AR100=_known(recall["all"][100]),
        per_class={label: _mean(row) for label, row in zip(labels, precision["all"], strict=True)},
        images=len(examples),
        detections=sum(len(item) for item in detections),
        AR_small=recall["small"][100],
        AR_medium=recall["medium"][100],
        AR_large=recall["large"][100],
    )


def check_objects(examples: Sequence[Example]) -> None:
    """Refuse a split without anything to find.

    Raises:
        DatasetError: no object, or only crowd regions and difficult ones.
    """
    if all(bool(example.ignored.all()) for example in examples):
        raise DatasetError(
            f"no labelled object in the {len(examples)} images to evaluate on: average precision "
            "is undefined; choose another split"
        )


def _average_recall(assignment: Assignment, *, limits: Sequence[int]) -> dict[int, float | None]:
    """Return the recall, mean over thresholds and classes, of the best detections by their number.

    Args:
        assignment: of objects of one size range.
        limits: how many detections of each picture and class count.

    Returns:
        By limit; None without an object to find.
    """
    label, classes = assignment.label, len(assignment.borders) - 1
    group = label * assignment.pictures + assignment.picture
    together = np.argsort(group, kind="stable")  # those of a picture stay by falling score
    rank = np.empty_like(group)
    rank[together] = ranks_within(group[together])
    wanted = np.bincount(assignment.object_class[~assignment.object_ignored], minlength=classes)
    known = wanted > 0
    if not known.any():
        return dict.fromkeys(limits)
    recall: dict[int, float | None] = {}
    for limit in limits:
        right = assignment.right & (rank < limit)
        found = np.stack([np.bincount(label[row], minlength=classes) for row in right])
        recall[limit] = float((found[:, known] / wanted[known]).mean())
    return recall


def _mean(precision: np.ndarray) -> float | None:
    """Return the mean over the classes with an object, whose precision isn't NaN."""
    known = precision[~np.isnan(precision)]
    return float(known.mean()) if known.size else None


def _known(value: float | None) -> float:
    """Narrow a mean that exists because there is at least one object."""
    return 0.0 if value is None else value
