"""Which object each detection of a split found: COCO's matching, kept for any later question."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edge_retina.datasets.example_table import ExampleTable
from edge_retina.datasets.schema import Example
from edge_retina.evaluation.matching import THRESHOLDS, Boxes, match_boxes, ranks_within
from edge_retina.runtime.detections import Detections

SIZES: Mapping[str, tuple[float, float]] = {  # area in pixels of the picture, both ends included
    "all": (0.0, 1e10),
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, 1e10),
}
MAX_DETECTIONS = 100  # of each picture and class


@dataclass(frozen=True)
class Assignment:
    """The detections of I pictures and the objects they found, at T IoU thresholds (.50:.05:.95).

    Detections stand by class and, within a class, by falling score. Objects are numbered through
    all pictures in their order, and so are detections. COCO's limit of 100 detections for each
    picture and class applies; those beyond are left out.

    Attributes:
        detection: (D,) number of each detection.
        picture: (D,) its picture.
        score: (D,) its score.
        borders: (K + 1,) class k has the detections borders[k] .. borders[k + 1].
        matched: (T, D) number of the object that it found; -1 if none.
        ignored: (T, D) bool; it lies in a crowd region or on another object that is not to be
            found, and is neither right nor wrong.
        object_picture: (N,) picture of each object, ignored ones included.
        object_class: (N,) its class.
        object_ignored: (N,) bool; crowds, difficult objects, and those of another size.
        pictures: I.
    """

    detection: np.ndarray
    picture: np.ndarray
    score: np.ndarray
    borders: np.ndarray
    matched: np.ndarray
    ignored: np.ndarray
    object_picture: np.ndarray
    object_class: np.ndarray
    object_ignored: np.ndarray
    pictures: int

    @property
    def right(self) -> np.ndarray:
        """(T, D) bool; it found an object."""
        return (self.matched >= 0) & ~self.ignored

    @property
    def wrong(self) -> np.ndarray:
        """(T, D) bool; it is a false alarm."""
        return (self.matched < 0) & ~self.ignored

    @property
    def label(self) -> np.ndarray:
        """(D,) class of each detection."""
        return np.repeat(np.arange(len(self.borders) - 1), np.diff(self.borders))


def assign_detections(
    examples: Sequence[Example], detections: Sequence[Detections], labels: Sequence[str]
) -> Assignment:
    """Match the detections of each picture, in the order of `examples`, with its objects."""
    return next(assign_by_size(examples, detections, labels, sizes=("all",)))


def assign_by_size(
    examples: Sequence[Example],
    detections: Sequence[Detections],
    labels: Sequence[str],
    *,
    sizes: Sequence[str],
) -> Iterator[Assignment]:
    """Yield the assignment for each range of object sizes.

    As in COCO's metrics by area, objects of other sizes are ignored, and so are detections of other
    sizes that find nothing. One at a time, because that of a large split takes much memory.

    Args:
        examples: the labelled pictures.
        detections: of each picture, in the same order.
        labels: class names by index.
        sizes: keys of `SIZES`.
    """
    table = ExampleTable.of(examples)  # in columns, without an array for each picture
    objects = Boxes(
        picture=table.owners,
        label=table.classes,
        xywh=_xywh(table.boxes_px),
    )
    numbers, found, scores = _best_detections(table.image_hw, detections, len(labels))
    crowd, never = table.crowd, table.ignored
    ignored = np.stack([never | _outside(objects, SIZES[name]) for name in sizes], axis=1)
    known = match_boxes(
        found, objects, pictures=len(examples), crowd=crowd, reusable=never, ignored=ignored
    )
    order = np.lexsort((-scores, found.label))  # stable, as COCOeval: ties stay in order
    place = np.argsort(order)[known.rows]
    for index, name in enumerate(sizes):
        matched = np.full((len(THRESHOLDS), len(found)), -1, np.int32)
        matched[:, place] = known.objects[:, index].T
        other_size = _outside(found, SIZES[name])[order]
        yield Assignment(
            detection=numbers[order],
            picture=found.picture[order],
            score=scores[order],
            borders=np.searchsorted(found.label[order], np.arange(len(labels) + 1)),
            matched=matched,
            ignored=np.where(matched < 0, other_size, np.append(ignored[:, index], False)[matched]),
            object_picture=objects.picture,
            object_class=objects.label,
            object_ignored=ignored[:, index],
            pictures=len(examples),
        )


def _best_detections(
    image_hw: np.ndarray, detections: Sequence[Detections], classes: int
) -> tuple[np.ndarray, Boxes, np.ndarray]:
    """Return number, box and score of the best of each picture and class.

    By picture, within a picture by class, within a class by falling score.

    Args:
        image_hw: (I, 2) of the pictures.
        detections: of each.
        classes: how many there are.

    Raises:
        ValueError: there are not as many pictures as items of detections.
    """
    if len(image_hw) != len(detections):
        raise ValueError(f"{len(image_hw)} pictures, but detections of {len(detections)}")
    counts = np.fromiter((len(item) for item in detections), np.int64, len(detections))
    picture = np.repeat(np.arange(len(counts)), counts)
    sides = image_hw.astype(np.float32)[picture]
    norm = _joined([item.boxes_norm for item in detections], np.float32).reshape(-1, 4)
    boxes = Boxes(
        picture=picture,
        label=_joined([item.classes for item in detections], np.int64),
        xywh=_xywh(norm * np.tile(sides, 2)),
    )
    scores = _joined([item.scores for item in detections], np.float64)
    group = boxes.picture * classes + boxes.label
    order = np.lexsort((-scores, group))
    order = order[ranks_within(group[order]) < MAX_DETECTIONS]
    return order, boxes.take(order), scores[order]


def _outside(boxes: Boxes, size: tuple[float, float]) -> np.ndarray:
    low, high = size
    return (boxes.area < low) | (boxes.area > high)


def _xywh(yxyx: np.ndarray) -> np.ndarray:
    """Return boxes (N, 4) yxyx as xmin ymin width height, in float64 as pycocotools gets them."""
    xywh = np.empty((len(yxyx), 4))  # filled in place: there may be millions
    xywh[:, :2] = yxyx[:, 1::-1]
    np.subtract(yxyx[:, 3:1:-1], xywh[:, :2], out=xywh[:, 2:])
    return xywh


def _joined(parts: Sequence[np.ndarray], dtype: type) -> np.ndarray:
    """Return the numbers of all parts, one after the other, (N,)."""
    return np.concatenate([np.zeros(0, dtype), *(np.ravel(part) for part in parts)]).astype(dtype)
