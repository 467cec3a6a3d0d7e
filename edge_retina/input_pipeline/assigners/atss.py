"""The TensorFlow form of `boxes.assigners.atss`."""

from __future__ import annotations

import numpy as np

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.boxes.assigners.atss import CELLS_PER_LEVEL
from edge_retina.config import MatchingConfig
from edge_retina.input_pipeline.batch_objects import (
    BatchObjects,
    Claims,
    force_unmatched,
    settle,
)
from edge_retina.input_pipeline.overlaps import iou_of
from edge_retina.model.keras import tf

# The nine nearest cells are at most 3.6 strides away, as those of the first block of three by three
# are from a corner of the image. So they, and those as near as the ninth, are within four cells of
# the one that holds the point.
_BLOCK, _REACH = 3, 4


def assign(
    anchors: tf.Tensor, objects: BatchObjects, *, grid: AnchorGrid, settings: MatchingConfig
) -> tf.Tensor:
    """Return matched (B, A) int32; see `boxes.assigners.atss.assign`."""
    cells, (y, x), near = _nearest_cells(objects.boxes, grid)
    top, left, bottom, right = (objects.boxes[:, i, None] for i in range(4))
    inside = (y > top) & (y < bottom) & (x > left) & (x < right)
    numbers = cells * grid.per_cell
    if grid.per_cell > 1:  # anchors are counted cell by cell
        near, inside, numbers = (
            tf.repeat(part, grid.per_cell, axis=1) for part in (near, inside, numbers)
        )
        numbers += np.tile(np.arange(grid.per_cell, dtype=np.int32), cells.shape[1])
    iou = iou_of(objects.boxes[:, None], tf.gather(anchors, numbers))
    positive = near & inside & (iou >= _threshold(iou, near)) & (iou > 0)
    claims = Claims.where(positive, iou, anchors=numbers)
    matched = settle(claims, objects, anchors.shape[0])
    return force_unmatched(matched, objects, anchors) if settings.force_match else matched


def _nearest_cells(
    boxes: tf.Tensor, grid: AnchorGrid
) -> tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Return some cells of all levels, and which of them are nearest to the object's centre.

    Returns:
        cells (G, C) int32, counted over all levels together, in the anchors' order; y and x of
        their centres, (G, C) each; which are nearest, (G, C) bool.
    """
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    cells, ys, xs, near, first = [], [], [], [], 0
    for level in grid.levels:
        centres = grid.centres_px(level)
        window = _cells_around(middle, centres, stride=2**level)
        y, x = tf.unstack(tf.gather(centres.reshape(-1, 2), window), axis=-1)
        closeness = -((y - middle[:, :1]) ** 2 + (x - middle[:, 1:]) ** 2)
        count = min(CELLS_PER_LEVEL, window.shape[1])
        cells.append(window + first)
        ys.append(y)
        xs.append(x)
        near.append(closeness >= tf.math.top_k(closeness, count).values[:, -1:])
        first += centres.shape[0] * centres.shape[1]
    cells, y, x, near = (tf.concat(parts, axis=1) for parts in (cells, ys, xs, near))
    return cells, (y, x), near


def _cells_around(points: tf.Tensor, centres: np.ndarray, *, stride: int) -> tf.Tensor:
    """Return the cells (G, W) int32 of a level among which are the nearest to each of the points.

    Args:
        points: (G, 2) y, x in pixels.
        centres: (rows, columns, 2).
        stride: between them.
    """
    rows, columns = centres.shape[:2]
    if min(rows, columns) < _BLOCK:  # the nearest may be far away along the other side
        every = tf.range(rows * columns)[None]
        return tf.tile(every, (tf.shape(points)[0], 1))
    at = tf.cast(tf.round((points - centres[0, 0]) / stride), tf.int32) - _REACH
    sides = np.minimum((rows, columns), 2 * _REACH + 1)
    start = tf.clip_by_value(at, 0, (rows, columns) - sides)
    offsets = np.arange(sides[0])[:, None] * columns + np.arange(sides[1])
    corner = start[:, :1] * columns + start[:, 1:]
    return corner + offsets.reshape(1, -1).astype(np.int32)


def _threshold(iou: tf.Tensor, candidates: tf.Tensor) -> tf.Tensor:
    """Return the mean plus the standard deviation (G, 1) of the candidates' IoU."""
    weights = tf.cast(candidates, tf.float32)
    count = tf.reduce_sum(weights, axis=1, keepdims=True)
    mean = tf.reduce_sum(weights * iou, axis=1, keepdims=True) / count
    squares = tf.reduce_sum(weights * tf.square(iou - mean), axis=1, keepdims=True)
    return mean + tf.sqrt(squares / tf.maximum(count - 1, 1))
