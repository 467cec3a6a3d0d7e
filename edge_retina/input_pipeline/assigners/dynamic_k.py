"""The TensorFlow form of `boxes.assigners.dynamic_k`."""

from __future__ import annotations

import numpy as np

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.boxes.assigners.atss import cell_centres
from edge_retina.boxes.assigners.dynamic_k import ROUNDING
from edge_retina.boxes.matching import NEGATIVE
from edge_retina.config import MatchingConfig
from edge_retina.input_pipeline.overlaps import (
    claim,
    force_unmatched,
    ignore_inside,
    pairwise_iou,
)
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
    """Return matched_gt (A,) int32; see `boxes.assigners.dynamic_k.assign`. G is at least 1."""
    iou = pairwise_iou(gt_boxes, anchors)
    centres = np.repeat(np.concatenate(cell_centres(grid)), grid.per_cell, axis=0)[None]
    low, high = gt_boxes[:, None, :2], gt_boxes[:, None, 2:]
    inside = tf.reduce_all((centres > low) & (centres < high), axis=-1)
    quality = tf.where(inside, iou, 0.0)
    positive = (quality >= _lowest(quality, settings.most_positives)) & (quality > 0)
    matched = claim(NEGATIVE, quality, positive)
    if settings.force_match:
        matched = force_unmatched(matched, iou)
    return ignore_inside(matched, anchors, ignored_boxes)


def _lowest(quality: tf.Tensor, most: int) -> tf.Tensor:
    """Return the k-th largest (G, 1) of the anchors' IoUs (G, A)."""
    ranked = tf.math.top_k(quality, min(most, quality.shape[1])).values
    share = tf.math.divide_no_nan(ranked, ranked[:, :1])
    count = tf.cast(tf.reduce_sum(share, axis=1, keepdims=True) + ROUNDING, tf.int32)
    return tf.gather(ranked, tf.maximum(count, 1) - 1, axis=1, batch_dims=1)
