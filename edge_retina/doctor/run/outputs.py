"""Raw outputs of a network on labelled pictures, kept to be decoded again with other settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.boxes.iou import pairwise_iou
from edge_retina.config import ExportConfig
from edge_retina.datasets.schema import Example
from edge_retina.evaluation.errors.tide import ErrorGains, error_gains, error_table
from edge_retina.evaluation.matches import Matches, find_matches
from edge_retina.runtime.detections import Detections
from edge_retina.runtime.raw_outputs import decode_logits

_FOUND_IOU = 0.5


@dataclass(frozen=True)
class Pairs:
    """Objects, each with the detection that overlaps it most, whatever its class.

    Attributes:
        picture: (N,) number of the picture.
        labelled, detected: (N,) classes.
        iou: (N,); 0 for an object that no detection touches.
        score: (N,) of the detection.
        boxes: (N, 4) labelled, yxyx in pixels of the picture.
        found: (N, 4) detected.
    """

    picture: np.ndarray
    labelled: np.ndarray
    detected: np.ndarray
    iou: np.ndarray
    score: np.ndarray
    boxes: np.ndarray
    found: np.ndarray


@dataclass(frozen=True)
class Outputs:
    """What a network says about some pictures.

    Attributes:
        split: name of the split that the pictures are from.
        examples: the labelled pictures.
        raw: cls_logits (A, K) and box_deltas (A, 4) of each.
        anchors: of the network.
        export: how it decodes its outputs.
        labels: class names by index.
    """

    split: str
    examples: Sequence[Example]
    raw: tuple[tuple[np.ndarray, np.ndarray], ...]
    anchors: AnchorGrid
    export: ExportConfig
    labels: tuple[str, ...]

    def decoded(self, export: ExportConfig) -> list[Detections]:
        """Return the detections with other settings."""
        anchors = self.anchors.boxes_norm()
        return [decode_logits(*outputs, anchors, export) for outputs in self.raw]

    @cached_property
    def detections(self) -> list[Detections]:
        """With the settings of the RUN."""
        return self.decoded(self.export)

    @cached_property
    def matches(self) -> Matches:
        """Of the detections with the objects."""
        return find_matches(self.examples, self.detections, self.labels)

    @cached_property
    def class_precision(self) -> np.ndarray:
        """AP of each class at each of COCO's ten IoU thresholds, (K, 10); NaN without objects."""
        return self.matches.average_precision()[0]

    @property
    def mAP(self) -> float:
        """COCO's mAP."""
        return self.matches.mAP()

    @property
    def mAP50(self) -> float:
        """The same at IoU .5."""
        known = self.class_precision[:, 0]
        return float(np.nanmean(known)) if np.isfinite(known).any() else 0.0

    @cached_property
    def gains(self) -> ErrorGains:
        """The mAP50 that each kind of error costs."""
        table = error_table(self.examples, self.detections, classes=len(self.labels))
        return error_gains(table)

    @cached_property
    def mAP50_without_classes(self) -> float:
        """The mAP50 if all objects were of one class, decoded as before."""
        matches = find_matches(
            [dataclasses.replace(x, classes=np.zeros_like(x.classes)) for x in self.examples],
            [Detections(x.boxes_norm, np.zeros_like(x.classes), x.scores) for x in self.detections],
            ("object",),
        )
        value = matches.average_precision()[0][0, 0]
        return float(value) if np.isfinite(value) else 0.0

    @cached_property
    def pairs(self) -> Pairs:
        """Every object that isn't ignored beside the detection that overlaps it most."""
        rows = []
        for number, (example, item) in enumerate(zip(self.examples, self.detections, strict=True)):
            there = ~example.ignored
            boxes = example.boxes_px[there].astype(np.float64)
            found = item.boxes_px(example.image_hw).astype(np.float64)
            if not len(boxes) or not len(found):
                continue
            iou = pairwise_iou(boxes, found)
            # Of detections that overlap enough, the one with the highest score is the answer.
            best = np.where(
                (iou >= _FOUND_IOU).any(axis=1),
                np.where(iou >= _FOUND_IOU, item.scores, -1.0).argmax(axis=1),
                iou.argmax(axis=1),
            )
            rows.append(
                (
                    np.full(len(boxes), number),
                    example.classes[there],
                    item.classes[best],
                    iou[np.arange(len(boxes)), best],
                    item.scores[best],
                    boxes,
                    found[best],
                )
            )
        empty = [(np.zeros(0, int),) * 3 + (np.zeros(0),) * 2 + (np.zeros((0, 4)),) * 2]
        return Pairs(*(np.concatenate(column) for column in zip(*(rows or empty), strict=True)))

    @property
    def objects(self) -> int:
        """Number of objects that are to be found."""
        return int(sum((~example.ignored).sum() for example in self.examples))
