"""The TensorFlow form of `boxes.assigners.max_iou`."""

from __future__ import annotations

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.boxes.matching import IGNORED, NEGATIVE
from edge_retina.config import MatchingConfig
from edge_retina.input_pipeline.overlaps import force_from, ignore_inside, pairwise_iou
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
    """Return matched_gt (A,) int32; see `boxes.assigners.max_iou.assign`. G is at least 1."""
    iou = pairwise_iou(gt_boxes, anchors)
    best_iou = tf.reduce_max(iou, axis=0)
    best_gt = tf.argmax(iou, axis=0, output_type=tf.int32)
    matched = tf.where(best_iou >= settings.positive_iou, best_gt, IGNORED)
    matched = tf.where(best_iou < settings.negative_iou, NEGATIVE, matched)
    if settings.force_match:
        matched = force_from(matched, iou, _forced_from(iou, settings))
    return ignore_inside(matched, anchors, ignored_boxes)


def _forced_from(iou: tf.Tensor, settings: MatchingConfig) -> tf.Tensor:
    """Return the IoU (G, 1) from which on an object's anchors are forced."""
    count = min(settings.min_positives, iou.shape[1])
    ranked = tf.math.top_k(iou, count).values
    return tf.minimum(ranked[:, :1], tf.maximum(ranked[:, -1:], settings.min_positive_iou))
