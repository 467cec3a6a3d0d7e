"""The TensorFlow form of `boxes.assigners.max_iou`."""

from __future__ import annotations

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.boxes.matching import IGNORED, NEGATIVE
from edge_retina.config import MatchingConfig
from edge_retina.input_pipeline.batch_objects import BatchObjects, Claims, force, settle
from edge_retina.input_pipeline.overlaps import pairwise_iou
from edge_retina.model.keras import tf


def assign(
    anchors: tf.Tensor, objects: BatchObjects, *, grid: AnchorGrid, settings: MatchingConfig
) -> tf.Tensor:
    """Return matched (B, A) int32; see `boxes.assigners.max_iou.assign`."""
    iou = pairwise_iou(objects.boxes, anchors)
    # An image without objects has the lowest number there is.
    best = tf.math.unsorted_segment_max(iou, objects.images, objects.batch_size)
    claims = Claims.where(iou >= settings.positive_iou, iou)
    matched = settle(claims, objects, anchors.shape[0])
    between = (best >= settings.negative_iou) & (best < settings.positive_iou)
    matched = tf.where((matched == NEGATIVE) & between, IGNORED, matched)
    if settings.force_match:
        wanted = (iou >= _forced_from(iou, settings)) & (iou > 0)
        matched = force(matched, Claims.where(wanted, iou), objects)
    return matched


def _forced_from(iou: tf.Tensor, settings: MatchingConfig) -> tf.Tensor:
    """Return the IoU (G, 1) from which on an object's anchors are forced."""
    count = min(settings.min_positives, iou.shape[1])
    ranked = tf.math.top_k(iou, count).values
    return tf.minimum(ranked[:, :1], tf.maximum(ranked[:, -1:], settings.min_positive_iou))
