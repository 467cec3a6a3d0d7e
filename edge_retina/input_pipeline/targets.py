"""Anchor matching and box codes in TensorFlow, for one picture at a time.

One picture, not a batch: with the objects that it really has, every intermediate (G, A) array stays
in the processor's cache, where a padded batch would not.
"""

from __future__ import annotations

from edge_retina.boxes.codec import CODE_SCALES
from edge_retina.boxes.matching import IGNORED, NEGATIVE
from edge_retina.config import MatchingConfig
from edge_retina.model.keras import tf


def assign_targets(
    anchors: tf.Tensor,
    gt_boxes: tf.Tensor,
    gt_classes: tf.Tensor,
    ignored: tf.Tensor,
    *,
    matching: MatchingConfig,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Say for every anchor what it should find.

    Args:
        anchors: (A, 4) float32 yxyx in pixels.
        gt_boxes: (G, 4) float32 yxyx in the same frame; G may be 0.
        gt_classes: (G,) int32.
        ignored: (G,) bool, e.g. crowds and objects cut off by the border: not to be found, but
            anchors mostly inside are ignored instead of background.
        matching: thresholds; the rules are those of `boxes.matching.match_anchors`.

    Returns:
        cls_targets (A,) int32: class, NEGATIVE (-1) or IGNORED (-2); box_targets (A, 4) float32:
        codes of the matched boxes, zeros elsewhere.
    """
    ignored_boxes = tf.boolean_mask(gt_boxes, ignored)
    gt_boxes = tf.boolean_mask(gt_boxes, ~ignored)
    gt_classes = tf.boolean_mask(gt_classes, ~ignored)
    count = tf.shape(anchors)[0]

    def without_objects() -> tuple[tf.Tensor, tf.Tensor]:
        return tf.fill([count], NEGATIVE), tf.zeros([count, 4])

    def with_objects() -> tuple[tf.Tensor, tf.Tensor]:
        matched = _match(_iou(gt_boxes, anchors), matching)
        safe = tf.maximum(matched, 0)
        cls = tf.where(matched >= 0, tf.gather(gt_classes, safe), matched)
        codes = _encode(tf.gather(gt_boxes, safe), anchors)
        return cls, tf.where(matched[:, None] >= 0, codes, 0.0)

    cls_targets, box_targets = tf.cond(tf.size(gt_classes) > 0, with_objects, without_objects)
    inside = tf.reduce_any(_share_inside(ignored_boxes, anchors) > 0.5, axis=0)
    return tf.where((cls_targets == NEGATIVE) & inside, IGNORED, cls_targets), box_targets


def _match(iou: tf.Tensor, matching: MatchingConfig) -> tf.Tensor:
    """Return matched_gt (A,) for IoU (G, A), G at least 1."""
    best_iou = tf.reduce_max(iou, axis=0)
    best_gt = tf.argmax(iou, axis=0, output_type=tf.int32)
    matched = tf.where(best_iou >= matching.positive_iou, best_gt, IGNORED)
    matched = tf.where(best_iou < matching.negative_iou, NEGATIVE, matched)
    if not matching.force_match:
        return matched
    best_of_gt = tf.reduce_max(iou, axis=1, keepdims=True)
    forced = (iou == best_of_gt) & (best_of_gt > 0)
    claim = tf.argmax(tf.where(forced, iou, -1.0), axis=0, output_type=tf.int32)
    return tf.where(tf.reduce_any(forced, axis=0), claim, matched)


def _intersection(boxes: tf.Tensor, anchors: tf.Tensor) -> tf.Tensor:
    y0, x0, y1, x1 = (boxes[:, i, None] for i in range(4))
    a0, b0, a1, b1 = (anchors[None, :, i] for i in range(4))
    high = tf.maximum(tf.minimum(y1, a1) - tf.maximum(y0, a0), 0.0)
    wide = tf.maximum(tf.minimum(x1, b1) - tf.maximum(x0, b0), 0.0)
    return high * wide


def _area(boxes: tf.Tensor) -> tf.Tensor:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def _iou(boxes: tf.Tensor, anchors: tf.Tensor) -> tf.Tensor:
    common = _intersection(boxes, anchors)
    return common / (_area(boxes)[:, None] + _area(anchors)[None, :] - common)


def _share_inside(boxes: tf.Tensor, anchors: tf.Tensor) -> tf.Tensor:
    return _intersection(boxes, anchors) / _area(anchors)[None, :]


def _encode(boxes: tf.Tensor, anchors: tf.Tensor) -> tf.Tensor:
    anchor_size = anchors[:, 2:] - anchors[:, :2]
    size = boxes[:, 2:] - boxes[:, :2]
    shift = (boxes[:, :2] + boxes[:, 2:] - anchors[:, :2] - anchors[:, 2:]) / 2 / anchor_size
    growth = tf.math.log(tf.maximum(size, 1e-6) / anchor_size)
    return tf.concat([shift, growth], axis=-1) * tf.constant(CODE_SCALES)
