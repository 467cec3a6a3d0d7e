"""Overlaps of boxes with anchors, in TensorFlow: (G, 4) with (A, 4) gives (G, A), all yxyx.

One image, not a batch: with the objects that it really has, every (G, A) array stays in the
processor's cache, where a padded batch would not.
"""

from __future__ import annotations

from edge_retina.boxes.matching import IGNORED, INSIDE_SHARE, NEGATIVE
from edge_retina.model.keras import tf


def pairwise_iou(boxes: tf.Tensor, anchors: tf.Tensor) -> tf.Tensor:
    """Return the IoU (G, A)."""
    common = _intersection(boxes, anchors)
    return common / (_area(boxes)[:, None] + _area(anchors)[None, :] - common)


def force_unmatched(matched_gt: tf.Tensor, iou: tf.Tensor) -> tf.Tensor:
    """Return a matching (A,) in which objects without an anchor have those of their best IoU.

    Args:
        matched_gt: (A,) int32.
        iou: (G, A), G at least 1.
    """
    numbers = tf.range(tf.shape(iou)[0])
    found = tf.reduce_any(matched_gt[None, :] == numbers[:, None], axis=1)
    best = tf.reduce_max(iou, axis=1)
    return force_from(matched_gt, iou, tf.where(found, 2.0, best)[:, None])


def force_from(matched_gt: tf.Tensor, iou: tf.Tensor, lowest: tf.Tensor) -> tf.Tensor:
    """Return a matching (A,) in which objects have every anchor from an IoU of `lowest` on.

    Args:
        matched_gt: (A,) int32.
        iou: (G, A), G at least 1.
        lowest: (G, 1). An IoU of 0 is never enough.
    """
    return claim(matched_gt, iou, (iou >= lowest) & (iou > 0))


def claim(matched_gt: tf.Tensor | int, iou: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
    """Return a matching (A,) int32 in which objects have the anchors that they want.

    Args:
        matched_gt: (A,) int32, or one number, for anchors that no object wants.
        iou: (G, A), G at least 1. An anchor that several objects want goes to the highest.
        wanted: (G, A) bool.
    """
    best = tf.argmax(tf.where(wanted, iou, -1.0), axis=0, output_type=tf.int32)
    return tf.where(tf.reduce_any(wanted, axis=0), best, matched_gt)


def ignore_inside(matched_gt: tf.Tensor, anchors: tf.Tensor, ignored_boxes: tf.Tensor) -> tf.Tensor:
    """The TensorFlow form of `boxes.matching.ignore_inside`."""
    share = _intersection(ignored_boxes, anchors) / _area(anchors)[None, :]
    inside = tf.reduce_any(share > INSIDE_SHARE, axis=0)
    return tf.where((matched_gt == NEGATIVE) & inside, IGNORED, matched_gt)


def _intersection(boxes: tf.Tensor, anchors: tf.Tensor) -> tf.Tensor:
    y0, x0, y1, x1 = (boxes[:, i, None] for i in range(4))
    a0, b0, a1, b1 = (anchors[None, :, i] for i in range(4))
    high = tf.maximum(tf.minimum(y1, a1) - tf.maximum(y0, a0), 0.0)
    wide = tf.maximum(tf.minimum(x1, b1) - tf.maximum(x0, b0), 0.0)
    return high * wide


def _area(boxes: tf.Tensor) -> tf.Tensor:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
