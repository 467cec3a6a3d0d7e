"""The TensorFlow form of `boxes.assigners.dynamic_k`."""

from __future__ import annotations

import numpy as np

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.boxes.assigners.atss import cell_centres
from edge_retina.boxes.assigners.dynamic_k import ROUNDING
from edge_retina.config import MatchingConfig
from edge_retina.input_pipeline.batch_objects import (
    BatchObjects,
    Claims,
    force_unmatched,
    settle,
)
from edge_retina.input_pipeline.overlaps import pairwise_iou
from edge_retina.model.keras import tf


def assign(
    anchors: tf.Tensor, objects: BatchObjects, *, grid: AnchorGrid, settings: MatchingConfig
) -> tf.Tensor:
    """Return matched (B, A) int32; see `boxes.assigners.dynamic_k.assign`."""
    iou = pairwise_iou(objects.boxes, anchors)
    y, x = np.repeat(np.concatenate(cell_centres(grid)), grid.per_cell, axis=0).T[:, None]
    top, left, bottom, right = (objects.boxes[:, i, None] for i in range(4))
    inside = (y > top) & (y < bottom) & (x > left) & (x < right)
    quality = tf.where(inside, iou, 0.0)
    positive = (quality >= _lowest(quality, settings.most_positives)) & (quality > 0)
    matched = settle(Claims.where(positive, quality), objects, anchors.shape[0])
    return force_unmatched(matched, objects, anchors) if settings.force_match else matched


def _lowest(quality: tf.Tensor, most: int) -> tf.Tensor:
    """Return the k-th largest (G, 1) of the anchors' IoUs (G, A)."""
    ranked = tf.math.top_k(quality, min(most, quality.shape[1])).values
    share = tf.math.divide_no_nan(ranked, ranked[:, :1])
    count = tf.cast(tf.reduce_sum(share, axis=1, keepdims=True) + ROUNDING, tf.int32)
    return tf.gather(ranked, tf.maximum(count, 1) - 1, axis=1, batch_dims=1)
