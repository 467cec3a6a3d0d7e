"""COCO detection metrics of a set of images, computed by pycocotools."""

from __future__ import annotations

import contextlib
import dataclasses
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from edge_retina.datasets.coco_tree import (
    CocoTree,
    coco_annotation,
    coco_tree,
    with_annotations,
)
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
        mAP_small, mAP_medium, mAP_large: by object area in pixels of the original image.
        AR1, AR10, AR100: average recall with at most that many detections per image.
        per_class: AP by label, in the labels' order.
        images: number of images.
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

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> CocoMetrics:
        """Return the metrics in the JSON of `evaluate`; its other fields are ignored."""
        return cls(**{field.name: tree[field.name] for field in dataclasses.fields(cls)})


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
    truth = _coco(coco_tree(examples, labels))
    annotations = _found_annotations(examples, detections)
    evaluation = _Evaluation(truth, _coco(with_annotations(examples, labels, annotations)))
    evaluation.params.maxDets = list(MAX_DETECTIONS)
    if not by_size:
        evaluation.params.areaRng = evaluation.params.areaRng[:1]
        evaluation.params.areaRngLbl = evaluation.params.areaRngLbl[:1]
    with _quiet():
        evaluation.evaluate()
    return evaluation


def _coco(tree: CocoTree) -> COCO:
    coco = COCO()
    coco.dataset = tree
    with _quiet():
        coco.createIndex()
    return coco


def _found_annotations(
    examples: Sequence[Example], detections: Sequence[Detections]
) -> list[dict[str, Any]]:
    return [
        {**coco_annotation(number, box, label), "iscrowd": 0, "score": float(score)}
        for number, (example, item) in enumerate(zip(examples, detections, strict=True), 1)
        for box, label, score in zip(
            item.boxes_px(example.image_hw), item.classes, item.scores, strict=True
        )
    ]


class _Evaluation(COCOeval):  # type: ignore[misc]  # pycocotools has no types
    """COCOeval that ignores difficult objects the way the Pascal VOC devkit does.

    COCOeval drops `ignore` in favour of `iscrowd`, which means two things: any number of detections
    may match, as in the devkit, and overlap is the detection's share inside the region, which is
    wrong for a single object. So the flag is set when the IoUs have been computed.
    """

    def __init__(self, truth: COCO, found: COCO) -> None:
        super().__init__(truth, found, "bbox")
        annotations = truth.dataset["annotations"]
        self._difficult = {item["id"] for item in annotations if item.get("ignore")}

    def evaluateImg(self, imgId: int, catId: int, aRng: list[float], maxDet: int) -> Any:  # noqa: N802, N803  the base's names
        for item in self._gts[imgId, catId]:
            if item["id"] in self._difficult:
                item["iscrowd"] = item["ignore"] = 1
        return super().evaluateImg(imgId, catId, aRng, maxDet)


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
