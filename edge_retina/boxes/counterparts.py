"""Which anchor of one detector stands for which anchor of another one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_retina.boxes.anchors import AnchorGrid, Shape


@dataclass(frozen=True)
class Counterparts:
    """For each of A anchors its nearest one in another grid.

    Attributes:
        index: (A,) int32, number of the other anchor.
        iou: (A,) float32, overlap of the two relative to the image, however near "nearest" is.
    """

    index: np.ndarray
    iou: np.ndarray


def find_counterparts(grid: AnchorGrid, other: AnchorGrid) -> Counterparts:
    """Return for each anchor of `grid` the nearest one of `other`.

    Both are taken relative to their image's sides, which may differ. The distance is that of the
    box code without its scales: shift of the centre in sides of the anchor, and difference of the
    logarithms of the sides. Of equally near ones the first counts.
    """
    anchors = grid.boxes_norm()
    centre, size = (anchors[:, :2] + anchors[:, 2:]) / 2, anchors[:, 2:] - anchors[:, :2]
    best = np.full(len(anchors), np.inf)
    index = np.zeros(len(anchors), np.int32)
    first = 0
    # One shape of one level at a time: on its regular cells the nearest is found by rounding.
    for level, shapes, count in zip(other.levels, other.shapes, other.level_counts(), strict=True):
        cell, shift = _nearest_cells(other, level, centre)
        for number, shape in enumerate(shapes):
            growth = np.log(_relative(shape, other) / size)
            distance = np.square(shift / size).sum(axis=1) + np.square(growth).sum(axis=1)
            nearer = distance < best
            best[nearer] = distance[nearer]
            index[nearer] = first + cell[nearer] * len(shapes) + number
        first += count
    return Counterparts(index, _paired_iou(anchors, other.boxes_norm()[index]))


def _nearest_cells(
    grid: AnchorGrid, level: int, centre: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the nearest cell (A,) of each centre (A, 2) on a level, and its shift (A, 2)."""
    cells_hw = np.array(grid.cells_hw(level))
    stride = 2.0**level / np.array(grid.image_hw)
    place = np.clip(np.ceil(centre / stride - 1), 0, cells_hw - 1)  # halfway: the first
    cell = place[:, 0] * cells_hw[1] + place[:, 1]
    return cell.astype(np.int64), (place + 0.5) * stride - centre


def _relative(shape: Shape, grid: AnchorGrid) -> np.ndarray:
    return np.array(shape) / np.array(grid.image_hw)


def _paired_iou(boxes_a: np.ndarray, boxes_b: np.ndarray) -> np.ndarray:
    """Return the IoU (A,) of boxes (A, 4) and (A, 4), row by row."""
    low = np.maximum(boxes_a[:, :2], boxes_b[:, :2])
    common = np.maximum(np.minimum(boxes_a[:, 2:], boxes_b[:, 2:]) - low, 0).prod(axis=1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (boxes_a, boxes_b)]
    return (common / (sum(areas) - common)).astype(np.float32)
