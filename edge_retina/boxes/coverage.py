"""How well a set of anchors covers the objects of a data set.

Everything is measured on real positions, not only on shapes: an anchor of the perfect shape still
misses a small object that lies between two cells.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_retina.boxes.anchors import AnchorGrid, Shape
from edge_retina.boxes.iou import pairwise_iou

_FOUND_IOU, _NEAR_IOU = 0.5, 0.4
_SMALLEST_OCTAVE_PX = 8.0  # below a cell of the finest level there is nothing to learn


@dataclass(frozen=True)
class AnchorCoverage:
    """What matching will find.

    Attributes:
        objects: number of objects looked at.
        best_possible_recall: share of objects with an anchor of IoU >= 0.5.
        recall_at_40: the same at IoU >= 0.4.
        mean_best_iou: mean over objects of the best IoU with any anchor.
        positives_per_object: mean number of anchors with IoU >= 0.5.
    """

    objects: int
    best_possible_recall: float
    recall_at_40: float
    mean_best_iou: float
    positives_per_object: float


@dataclass(frozen=True)
class ObjectCoverage:
    """The same, object by object.

    Attributes:
        best_iou: (N,) best IoU of each object with any anchor.
        positives: (N, L) number of anchors of each level with IoU >= 0.5.
    """

    best_iou: np.ndarray
    positives: np.ndarray

    def summary(self, chosen: np.ndarray | None = None) -> AnchorCoverage:
        """Return the means over all objects, or over those of the mask `chosen` (N,) bool.

        Without any object all figures are 0.
        """
        best = self.best_iou if chosen is None else self.best_iou[chosen]
        positives = self.positives if chosen is None else self.positives[chosen]
        if not len(best):
            return AnchorCoverage(0, 0.0, 0.0, 0.0, 0.0)
        return AnchorCoverage(
            objects=len(best),
            best_possible_recall=float((best >= _FOUND_IOU).mean()),
            recall_at_40=float((best >= _NEAR_IOU).mean()),
            mean_best_iou=float(best.mean()),
            positives_per_object=float(positives.sum(axis=1).mean()),
        )

    def positives_by_level(self) -> tuple[float, ...]:
        """Return the mean number of positive anchors an object on each level, finest first."""
        if not len(self.positives):
            return (0.0,) * self.positives.shape[1]
        return tuple(float(mean) for mean in self.positives.mean(axis=0))


def measure_coverage(anchors_px: np.ndarray, boxes_px: Sequence[np.ndarray]) -> AnchorCoverage:
    """Measure `anchors_px` (A, 4) against the boxes (G, 4) of each image, all in input pixels.

    Without any object all figures are 0.
    """
    return _compare(anchors_px, (len(anchors_px),), boxes_px).summary()


def measure_objects(grid: AnchorGrid, boxes_px: Sequence[np.ndarray]) -> ObjectCoverage:
    """Measure a grid against the boxes (G, 4) of each image, in the order of all boxes."""
    return _compare(grid.boxes_px(), grid.level_counts(), boxes_px)


def _compare(
    anchors_px: np.ndarray, level_counts: Sequence[int], boxes_px: Sequence[np.ndarray]
) -> ObjectCoverage:
    best, positives = [np.zeros(0)], [np.zeros((0, len(level_counts)), int)]
    starts = np.cumsum([0, *level_counts[:-1]])
    for boxes in boxes_px:
        if len(boxes):
            iou = pairwise_iou(anchors_px, boxes)
            best.append(iou.max(axis=0))
            positives.append(np.add.reduceat(iou >= _FOUND_IOU, starts, axis=0, dtype=int).T)
    return ObjectCoverage(np.concatenate(best), np.concatenate(positives))


def group_by_size(boxes_px: np.ndarray) -> dict[str, np.ndarray]:
    """Return masks (N,) of the boxes (N, 4) in each octave of size that occurs, smallest first.

    The size is the square root of the area in pixels; names are "< 8", "8-16", "16-32" ...
    """
    sides = np.sqrt((boxes_px[:, 2:] - boxes_px[:, :2]).clip(0).prod(axis=1))
    octaves = np.floor(np.log2(np.maximum(sides, 1e-6) / _SMALLEST_OCTAVE_PX)).astype(int)
    octaves = np.maximum(octaves, -1)
    return {_octave_name(number): octaves == number for number in np.unique(octaves).tolist()}


def _octave_name(number: int) -> str:
    low = _SMALLEST_OCTAVE_PX * 2**number
    return f"< {_SMALLEST_OCTAVE_PX:g}" if number < 0 else f"{low:g}-{2 * low:g}"


def best_iou(grid: AnchorGrid, boxes_px: np.ndarray) -> np.ndarray:
    """Return the best IoU (N,) of each box (N, 4) with any anchor of a grid.

    The same as comparing with every anchor, hundreds of times as fast: of all anchors of one shape
    the one with the nearest centre overlaps most, so no other is looked at.
    """
    best = np.zeros(len(boxes_px))
    for level, shapes in zip(grid.levels, grid.shapes, strict=True):
        offsets = centre_offsets(boxes_px, level=level, cells_hw=grid.cells_hw(level))
        for shape in shapes:
            best = np.maximum(best, iou_at_offsets(boxes_px, offsets, shape))
    return best


def centre_offsets(boxes_px: np.ndarray, *, level: int, cells_hw: tuple[int, int]) -> np.ndarray:
    """Return how far the centre of each box (N, 4) is from that of the nearest cell.

    Args:
        boxes_px: yxyx in input pixels.
        level: its stride is 2**level.
        cells_hw: rows and columns of its feature map.

    Returns:
        (N, 2) distances in y and x, in pixels, not negative.
    """
    centres = (boxes_px[:, :2].astype(np.float64) + boxes_px[:, 2:]) / 2
    nearest = np.clip(np.floor(centres / 2**level), 0, np.array(cells_hw) - 1)
    return np.abs(centres - (nearest + 0.5) * 2**level)


def iou_at_offsets(boxes_px: np.ndarray, offsets: np.ndarray, shape: Shape) -> np.ndarray:
    """Return the IoU (N,) of boxes (N, 4) with an anchor of `shape` whose centre is `offsets` away.

    Args:
        boxes_px: yxyx in input pixels.
        offsets: (N, 2), see `centre_offsets`.
        shape: height and width in pixels.
    """
    sizes = boxes_px[:, 2:].astype(np.float64) - boxes_px[:, :2]
    # Two intervals of lengths a and b with centres d apart share min(a, b, (a + b) / 2 - d).
    common = np.minimum(np.minimum(sizes, shape), (sizes + shape) / 2 - offsets).clip(0)
    intersection = common.prod(axis=1)
    union = sizes.prod(axis=1) + math.prod(shape) - intersection
    return np.divide(intersection, union, out=np.zeros_like(union), where=union > 0)
