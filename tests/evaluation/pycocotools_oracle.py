"""The metrics and matches of pycocotools itself."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from edge_retina.datasets.coco_tree import CocoTree, coco_annotation, coco_tree, with_annotations
from edge_retina.datasets.schema import Example
from edge_retina.evaluation.coco_metrics import CocoMetrics
from edge_retina.runtime.detections import Detections

_QUIET = contextlib.redirect_stdout(io.StringIO())  # pycocotools prints its progress
# In the order of COCOeval.stats
_NAMES = ("mAP", "mAP50", "mAP75", "mAP_small", "mAP_medium", "mAP_large")
_RECALLS = ("AR1", "AR10", "AR100", "AR_small", "AR_medium", "AR_large")


class Evaluation(COCOeval):
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


def coco_evaluation(
    examples: Sequence[Example], detections: Sequence[Detections], labels: Sequence[str]
) -> COCOeval:
    """Return the evaluation, not yet accumulated; ids of images, objects, classes count from 1."""
    truth = _coco(coco_tree(examples, labels))
    annotations = [
        {**coco_annotation(number, box, label), "iscrowd": 0, "score": float(score)}
        for number, (example, item) in enumerate(zip(examples, detections, strict=True), 1)
        for box, label, score in zip(
            item.boxes_px(example.image_hw), item.classes, item.scores, strict=True
        )
    ]
    evaluation = Evaluation(truth, _coco(with_annotations(examples, labels, annotations)))
    with _QUIET:
        evaluation.evaluate()
    return evaluation


def coco_metrics(
    examples: Sequence[Example], detections: Sequence[Detections], labels: Sequence[str]
) -> CocoMetrics:
    """Return the twelve metrics that COCOeval summarizes, and AP by class."""
    evaluation = coco_evaluation(examples, detections, labels)
    with _QUIET:
        evaluation.accumulate()
        evaluation.summarize()
    figures = [None if value == -1 else float(value) for value in evaluation.stats]
    precision = evaluation.eval["precision"][..., 0, -1]
    by_class = [precision[:, :, index] for index in range(len(labels))]
    return CocoMetrics(
        **dict(zip((*_NAMES, *_RECALLS), figures, strict=True)),
        per_class={
            label: None if (values == -1).all() else float(np.mean(values[values > -1]))
            for label, values in zip(labels, by_class, strict=True)
        },
        images=len(examples),
        detections=sum(map(len, detections)),
    )


def _coco(tree: CocoTree) -> COCO:
    coco = COCO()
    coco.dataset = tree
    with _QUIET:
        coco.createIndex()
    return coco
