"""How well anchors cover the objects of a data set: the one place that measures it.

Coverage is measured at real positions, not only by shape: an anchor of the perfect shape still
misses a small object that lies between two cells.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edge_retina.boxes.anchors import AnchorGrid, Shape
from edge_retina.boxes.iou import mean_sides

# An anchor that overlaps an object by this much is trained to find it (RetinaNet, section 4.1), ...
_POSITIVE_IOU = 0.5
_NEAR_IOU = 0.4  # ... and is background below this
_SMALLEST_OCTAVE_PX = 8.0  # the finest level's cell; smaller objects are hardly learned
_CHUNK = 8192  # objects compared with the anchors of a level at a time, to bound the memory
_ROUNDING = 1e-9  # an IoU of exactly 0.5 counts, however it is computed


@dataclass(frozen=True)
class AnchorCoverage:
    """How well some objects are covered.

    Attributes:
        objects: number of objects.
        best_possible_recall: share of objects with an anchor of IoU >= 0.5.
        recall_at_40: the same at IoU >= 0.4.
        mean_best_iou: mean over objects of the best IoU with any anchor.
        positives_per_object: mean number of anchors with IoU >= 0.5; None where only the best
            anchor of each object was looked at.
    """

    objects: int
    best_possible_recall: float
    recall_at_40: float
    mean_best_iou: float
    positives_per_object: float | None = None

    @classmethod
    def of(cls, best_iou: np.ndarray, positives: np.ndarray | None = None) -> AnchorCoverage:
        """Summarise objects; without any all figures are 0.

        Args:
            best_iou: (N,) best IoU of each object with any anchor.
            positives: (N, L) number of anchors of each level with IoU >= 0.5, if counted.
        """
        per_object = None if positives is None else _mean(positives.sum(axis=1))
        return cls(
            objects=len(best_iou),
            best_possible_recall=_mean(best_iou >= _POSITIVE_IOU),
            recall_at_40=_mean(best_iou >= _NEAR_IOU),
            mean_best_iou=_mean(best_iou),
            positives_per_object=per_object,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the figures by name, without those that were not measured."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class CoverageReport:
    """How anchors cover the objects of a data set, as a whole and by kind of object.

    Attributes:
        overall: all objects.
        by_class: by class name; classes without objects are left out.
        by_size: by octave of the side at the network's input ("8-16": pixels), smallest first.
        positives_by_level: mean number of anchors with IoU >= 0.5 per object, by feature level.
    """

    overall: AnchorCoverage
    by_class: dict[str, AnchorCoverage]
    by_size: dict[str, AnchorCoverage]
    positives_by_level: dict[int, float]


def coverage_report(
    grid: AnchorGrid, boxes_px: np.ndarray, classes: np.ndarray, labels: Sequence[str]
) -> CoverageReport:
    """Measure how `grid` covers objects, by class, size and level.

    Args:
        grid: the anchors.
        boxes_px: (N, 4) yxyx in pixels of the network input.
        classes: (N,) indices into `labels`.
        labels: class names.
    """
    best, positives = best_iou(grid, boxes_px), count_positives(grid, boxes_px)

    def of(chosen: np.ndarray) -> AnchorCoverage:
        return AnchorCoverage.of(best[chosen], positives[chosen])

    by_class = {label: classes == index for index, label in enumerate(labels)}
    return CoverageReport(
        overall=AnchorCoverage.of(best, positives),
        by_class={label: of(chosen) for label, chosen in by_class.items() if chosen.any()},
        by_size={name: of(chosen) for name, chosen in group_by_size(boxes_px).items()},
        positives_by_level={
            level: _mean(counts) for level, counts in zip(grid.levels, positives.T, strict=True)
        },
    )


def best_iou(grid: AnchorGrid, boxes_px: np.ndarray) -> np.ndarray:
    """Return the best IoU (N,) of each box (N, 4) with any anchor of a grid.

    Equals comparing with every anchor but is hundreds of times as fast: of all anchors of one shape
    the one with the nearest centre overlaps most, so the others are skipped.
    """
    best = np.zeros(len(boxes_px))
    for first in range(0, len(boxes_px), _CHUNK):
        part = slice(first, first + _CHUNK)
        for level, shapes in zip(grid.levels, grid.shapes, strict=True):
            offsets = centre_offsets(boxes_px[part], level=level, cells_hw=grid.cells_hw(level))
            for shape in shapes:
                iou = iou_at_offsets(boxes_px[part], offsets, shape)
                best[part] = np.maximum(best[part], iou)
    return best


def count_positives(grid: AnchorGrid, boxes_px: np.ndarray) -> np.ndarray:
    """Return for each box (N, 4) how many anchors of each level have IoU >= 0.5 with it, (N, L).

    Equals comparing with every anchor. It is much faster, because the anchors of a row that overlap
    enough lie side by side and needn't be looked at one by one.
    """
    counts = np.zeros((len(boxes_px), len(grid.levels)), int)
    for column, (level, shapes) in enumerate(zip(grid.levels, grid.shapes, strict=True)):
        cells_hw = grid.cells_hw(level)
        for first in range(0, len(boxes_px), _CHUNK):
            part = slice(first, first + _CHUNK)
            for shape in shapes:
                counts[part, column] += _positives_of_shape(
                    boxes_px[part], shape, stride=2**level, cells_hw=cells_hw
                )
    return counts


def _positives_of_shape(
    boxes_px: np.ndarray, shape: Shape, *, stride: int, cells_hw: tuple[int, int]
) -> np.ndarray:
    """Return for each box (N, 4) how many anchors of one shape have IoU >= 0.5 with it, (N,)."""
    corners = boxes_px.astype(np.float64)
    sizes = corners[:, 2:] - corners[:, :2]
    centres = (corners[:, :2] + corners[:, 2:]) / 2
    # Intersection over union is t where the intersection is t / (1 + t) of both areas together.
    share = _POSITIVE_IOU / (1 + _POSITIVE_IOU)
    least = share * (sizes.prod(axis=1) + math.prod(shape))
    smaller, middle = np.minimum(sizes, shape), (sizes + shape) / 2
    rows = (np.arange(cells_hw[0]) + 0.5) * stride
    distances = np.abs(centres[:, :1] - rows)
    high = np.minimum(smaller[:, :1], middle[:, :1] - distances)  # overlap in y, (N, rows)
    wide = np.divide(least[:, None], high, out=np.full_like(high, np.inf), where=high > 0)
    fits = wide <= smaller[:, 1:] * (1 + _ROUNDING)
    reach = np.where(fits, middle[:, 1:] - wide, 0.0)
    # Cells from `first` to `last` have their centres within `reach`.
    first = np.ceil((centres[:, 1:] - reach) / stride - 0.5 - _ROUNDING).clip(0)
    last = np.floor((centres[:, 1:] + reach) / stride - 0.5 + _ROUNDING).clip(max=cells_hw[1] - 1)
    return np.where(fits, (last - first + 1).clip(0), 0).sum(axis=1).astype(int)


def group_by_size(boxes_px: np.ndarray) -> dict[str, np.ndarray]:
    """Return masks (N,) of the boxes (N, 4) in each octave of size that occurs, smallest first.

    The size is the square root of the area in pixels; names are "< 8", "8-16", "16-32" ...
    """
    sides = mean_sides(boxes_px)
    octaves = np.floor(np.log2(np.maximum(sides, 1e-6) / _SMALLEST_OCTAVE_PX)).astype(int)
    octaves = np.maximum(octaves, -1)
    return {_octave_name(number): octaves == number for number in np.unique(octaves).tolist()}


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


def _octave_name(number: int) -> str:
    low = _SMALLEST_OCTAVE_PX * 2**number
    return f"< {_SMALLEST_OCTAVE_PX:g}" if number < 0 else f"{low:g}-{2 * low:g}"


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else 0.0
