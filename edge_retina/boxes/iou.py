"""Intersection over union."""

from __future__ import annotations

import numpy as np

_BLOCK = 1_000_000  # pairs that are compared at once: some 50 MB


def area(boxes: np.ndarray) -> np.ndarray:
    """Return the areas (N,) of `boxes` (N, 4) yxyx; inverted boxes have area 0."""
    return np.maximum(boxes[:, 2] - boxes[:, 0], 0) * np.maximum(boxes[:, 3] - boxes[:, 1], 0)


def mean_sides(boxes: np.ndarray) -> np.ndarray:
    """Return the geometric mean (N,) of height and width of `boxes` (N, 4) yxyx."""
    return np.sqrt(area(boxes.astype(np.float64)))


def pairwise_iou(boxes_a: np.ndarray, boxes_b: np.ndarray) -> np.ndarray:
    """Return the IoU (A, B) of every box of `boxes_a` (A, 4) with every one of `boxes_b` (B, 4).

    Both yxyx in one frame. Two boxes without area have IoU 0, not NaN.
    """
    top_left = np.maximum(boxes_a[:, None, :2], boxes_b[None, :, :2])
    bottom_right = np.minimum(boxes_a[:, None, 2:], boxes_b[None, :, 2:])
    sides = np.maximum(bottom_right - top_left, 0)
    intersection = sides[..., 0] * sides[..., 1]
    union = area(boxes_a)[:, None] + area(boxes_b)[None, :] - intersection
    return np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0)


def overlapping_pairs(
    boxes: np.ndarray, *, most_partners: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs of boxes that overlap: indices (P, 2), the lower first, and their IoU (P,).

    Memory grows with the boxes and with what is found, not with the square of the boxes.

    Args:
        boxes: (N, 4) yxyx.
        most_partners: of the boxes before it, each box is paired with so many that it overlaps
            most; by default with all. It bounds what is found where thousands lie on one place.
    """
    found, values = [np.zeros((0, 2), np.int64)], [np.zeros(0)]
    rows = max(1, _BLOCK // max(len(boxes), 1))
    for start in range(0, len(boxes), rows):
        later = boxes[start : start + rows]
        iou = np.tril(pairwise_iou(later, boxes[: start + len(later)]), start - 1)
        if most_partners is not None:
            _keep_highest(iou, most_partners)
        row, column = np.nonzero(iou)
        found.append(np.stack([column, row + start], axis=1))
        values.append(iou[row, column])
    pairs = np.concatenate(found)
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    return pairs[order], np.concatenate(values)[order]


def _keep_highest(values: np.ndarray, most: int) -> None:
    """Set all but the `most` highest values of each row of (R, C) to 0, in place."""
    crowded = np.flatnonzero(np.count_nonzero(values, axis=1) > most)
    if len(crowded):
        lowest = np.argpartition(values[crowded], -most, axis=1)[:, :-most]
        values[crowded[:, None], lowest] = 0


def shape_iou(shapes_a: np.ndarray, shapes_b: np.ndarray) -> np.ndarray:
    """Return the IoU (A, B) of shapes (A, 2) and (B, 2), height and width, laid on one centre."""
    common = np.minimum(shapes_a[:, None, :], shapes_b[None, :, :]).prod(axis=-1)
    union = shapes_a.prod(axis=-1)[:, None] + shapes_b.prod(axis=-1)[None, :] - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)
