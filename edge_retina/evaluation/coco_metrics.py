"""COCO detection metrics of a set of pictures, computed by pycocotools."""

from __future__ import annotations

import contextlib
import dataclasses
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from edge_retina.datasets.schema import Example
from edge_retina.errors import DatasetError
from edge_retina.runtime.detections import Detections

MAX_DETECTIONS = (1, 10, 100)
_SIZES = {"all": 0, "small": 1, "medium": 2, "large": 3}  # COCOeval's order; borders 32² and 96² px


@dataclass(frozen=True)
class CocoMetrics:
    """COCO metrics, 0..1; None where there was nothing to find.

    Attributes:
        mAP: average precision over IoU .50:.05:.95 and classes.
        mAP50, mAP75: at one IoU.
        mAP_small, mAP_medium, mAP_large: of objects by area in pixels of the original picture.
        AR1, AR10, AR100: average recall with at most so many detections a picture.
        per_class: AP by label, in the labels' order.
        images: number of pictures.
        detections: number of detections, of any score.
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

    def to_dict(self) -> dict[str, Any]:
        """Return the metrics as they stand in the JSON of `evaluate`."""
        return dataclasses.asdict(self)


def evaluate_detections(
    examples: Sequence[Example], detections: Sequence[Detections], labels: Sequence[str]
) -> CocoMetrics:
    """Compare detections with the labelled boxes.

    Args:
        examples: the labelled pictures; crowd regions are neither to be found nor false alarms.
        detections: of each picture, in the same order.
        labels: class names by index.

    Raises:
        DatasetError: as many detections as pictures are needed, and at least one object to find.
    """
    if len(examples) != len(detections):
        raise DatasetError(f"{len(examples)} pictures, but detections of {len(detections)}")
    if all(bool(example.crowd.all()) for example in examples):
        raise DatasetError(
            f"no labelled object in the {len(examples)} pictures to evaluate on: average precision "
            "is undefined; choose another split"
        )
    precision, recall = _accumulate(match_detections(examples, detections, labels))
    return CocoMetrics(
        mAP=_known(_mean(precision[..., _SIZES["all"], -1])),
        mAP50=_known(_mean(precision[0, ..., _SIZES["all"], -1])),
        mAP75=_known(_mean(precision[5, ..., _SIZES["all"], -1])),
        mAP_small=_mean(precision[..., _SIZES["small"], -1]),
        mAP_medium=_mean(precision[..., _SIZES["medium"], -1]),
        mAP_large=_mean(precision[..., _SIZES["large"], -1]),
        AR1=_known(_mean(recall[..., _SIZES["all"], 0])),
        AR10=_known(_mean(recall[..., _SIZES["all"], 1])),
        AR100=_known(_mean(recall[..., _SIZES["all"], 2])),
        per_class={
            label: _mean(precision[:, :, index, _SIZES["all"], -1])
            for index, label in enumerate(labels)
        },
        images=len(examples),
        detections=sum(len(item) for item in detections),
    )


def match_detections(
    examples: Sequence[Example],
    detections: Sequence[Detections],
    labels: Sequence[str],
    *,
    by_size: bool = True,
) -> COCOeval:
    """Return pycocotools' evaluation with each detection matched, before it is accumulated.

    Args:
        examples: as for `evaluate_detections`.
        detections: likewise.
        labels: likewise.
        by_size: also match small, medium and large objects alone; else only all of them.
    """
    truth = _coco(examples, labels, _truth_annotations(examples))
    found = _coco(examples, labels, _found_annotations(examples, detections))
    evaluation = COCOeval(truth, found, "bbox")
    evaluation.params.maxDets = list(MAX_DETECTIONS)
    if not by_size:
        evaluation.params.areaRng = evaluation.params.areaRng[:1]
        evaluation.params.areaRngLbl = evaluation.params.areaRngLbl[:1]
    with _quiet():
        evaluation.evaluate()
    return evaluation


def _coco(
    examples: Sequence[Example], labels: Sequence[str], annotations: list[dict[str, Any]]
) -> COCO:
    # All ids start from 1: COCOeval takes a matched object of id 0 for "not matched"
    coco = COCO()
    coco.dataset = {
        "images": [
            {"id": number, "height": example.image_hw[0], "width": example.image_hw[1]}
            for number, example in enumerate(examples, 1)
        ],
        "categories": [{"id": number, "name": label} for number, label in enumerate(labels, 1)],
        "annotations": [{"id": number, **item} for number, item in enumerate(annotations, 1)],
    }
    with _quiet():
        coco.createIndex()
    return coco


def _truth_annotations(examples: Sequence[Example]) -> list[dict[str, Any]]:
    return [
        _annotation(number, box, label, iscrowd=int(crowd))
        for number, example in enumerate(examples, 1)
        for box, label, crowd in zip(example.boxes_px, example.classes, example.crowd, strict=True)
    ]


def _found_annotations(
    examples: Sequence[Example], detections: Sequence[Detections]
) -> list[dict[str, Any]]:
    return [
        _annotation(number, box, label, iscrowd=0, score=float(score))
        for number, (example, item) in enumerate(zip(examples, detections, strict=True), 1)
        for box, label, score in zip(
            item.boxes_px(example.image_hw), item.classes, item.scores, strict=True
        )
    ]


def _annotation(image_id: int, box_px: np.ndarray, label: int, **more: Any) -> dict[str, Any]:
    ymin, xmin, ymax, xmax = (float(side) for side in box_px)
    width, height = xmax - xmin, ymax - ymin
    return {
        "image_id": image_id,
        "category_id": int(label) + 1,
        "bbox": [xmin, ymin, width, height],
        "area": width * height,
        **more,
    }


def _accumulate(evaluation: COCOeval) -> tuple[np.ndarray, np.ndarray]:
    """Return precision (IoU, recall, class, size, maxDets) and recall (IoU, class, size, maxDets).

    Entries without anything to find are -1.
    """
    with _quiet():
        evaluation.accumulate()
    return evaluation.eval["precision"], evaluation.eval["recall"]


def _mean(values: np.ndarray) -> float | None:
    known = values[values > -1]
    return float(known.mean()) if known.size else None


def _known(value: float | None) -> float:
    """Narrow a mean that exists because there is at least one object."""
    return 0.0 if value is None else value


def _quiet() -> contextlib.redirect_stdout[io.StringIO]:
    return contextlib.redirect_stdout(io.StringIO())  # pycocotools prints its progress
