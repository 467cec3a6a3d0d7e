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


def overlapping_pairs(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs of boxes that overlap: indices (P, 2), the lower first, and their IoU (P,).

    Memory grows with the boxes and with what is found, not with the square of the boxes.

    Args:
        boxes: (N, 4) yxyx.
    """
    found, values = [np.zeros((0, 2), np.int64)], [np.zeros(0)]
    rows = max(1, _BLOCK // max(len(boxes), 1))
    for start in range(0, len(boxes), rows):
        # Of a block the boxes before it were compared with it already.
        iou = np.triu(pairwise_iou(boxes[start : start + rows], boxes[start:]), 1)
        row, column = np.nonzero(iou)
        found.append(np.stack([row, column], axis=1) + start)
        values.append(iou[row, column])
    return np.concatenate(found), np.concatenate(values)


def shape_iou(shapes_a: np.ndarray, shapes_b: np.ndarray) -> np.ndarray:
    """Return the IoU (A, B) of shapes (A, 2) and (B, 2), height and width, laid on one centre."""
    common = np.minimum(shapes_a[:, None, :], shapes_b[None, :, :]).prod(axis=-1)
    union = shapes_a.prod(axis=-1)[:, None] + shapes_b.prod(axis=-1)[None, :] - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)
