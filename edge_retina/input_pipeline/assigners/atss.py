"""The TensorFlow form of `boxes.assigners.atss`."""

from __future__ import annotations

import numpy as np

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.boxes.assigners.atss import CELLS_PER_LEVEL, cell_centres
from edge_retina.boxes.matching import NEGATIVE
from edge_retina.config import MatchingConfig
from edge_retina.input_pipeline.overlaps import claim, force_unmatched, ignore_inside, pairwise_iou
from edge_retina.model.keras import tf


def assign(
    anchors: tf.Tensor,
    gt_boxes: tf.Tensor,
    gt_classes: tf.Tensor,
    ignored_boxes: tf.Tensor,
    *,
    grid: AnchorGrid,
    settings: MatchingConfig,
) -> tf.Tensor:
    """Return matched_gt (A,) int32; see `boxes.assigners.atss.assign`. G is at least 1."""
    iou = pairwise_iou(gt_boxes, anchors)
    candidates, inside = _near_and_inside(gt_boxes, grid)
    positive = candidates & inside & (iou >= _threshold(iou, candidates)) & (iou > 0)
    matched = claim(NEGATIVE, iou, positive)
    if settings.force_match:
        matched = force_unmatched(matched, iou)
    return ignore_inside(matched, anchors, ignored_boxes)


def _near_and_inside(gt_boxes: tf.Tensor, grid: AnchorGrid) -> tuple[tf.Tensor, tf.Tensor]:
    """Return which anchors (G, A) are in the cells nearest to an object, and centred inside it."""
    levels = cell_centres(grid)
    # Axis by axis: with a last axis of two, TensorFlow takes three times as long for the same. All
    # levels together, because these arrays are so small that starting an operator costs the most.
    top, left, bottom, right = (gt_boxes[:, i, None] for i in range(4))
    y, x = np.concatenate(levels).T[:, None]
    down, across = y - (top + bottom) / 2, x - (left + right) / 2
    closeness = -(down * down + across * across)
    near = []
    for part in tf.split(closeness, [len(centres) for centres in levels], axis=1):
        count = min(CELLS_PER_LEVEL, part.shape[1])
        near.append(part >= tf.math.top_k(part, count).values[:, -1:])
    near = tf.concat(near, axis=1)
    inside = (y > top) & (y < bottom) & (x > left) & (x < right)
    if grid.per_cell > 1:
        near, inside = (tf.repeat(cells, grid.per_cell, axis=1) for cells in (near, inside))
    return near, inside


def _threshold(iou: tf.Tensor, candidates: tf.Tensor) -> tf.Tensor:
    """Return the mean plus the standard deviation (G, 1) of the candidates' IoU."""
    weights = tf.cast(candidates, tf.float32)
    count = tf.reduce_sum(weights, axis=1, keepdims=True)
    mean = tf.reduce_sum(weights * iou, axis=1, keepdims=True) / count
    squares = tf.reduce_sum(weights * tf.square(iou - mean), axis=1, keepdims=True)
    return mean + tf.sqrt(squares / tf.maximum(count - 1, 1))
