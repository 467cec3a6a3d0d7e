"""Overlaps of boxes with anchors, in TensorFlow: (G, 4) with (A, 4) gives (G, A), all yxyx."""

from __future__ import annotations

from edge_retina.model.keras import tf


def pairwise_iou(boxes: tf.Tensor, anchors: tf.Tensor) -> tf.Tensor:
    """Return the IoU (G, A)."""
    return iou_of(boxes[:, None], anchors[None])


def iou_of(boxes: tf.Tensor, anchors: tf.Tensor) -> tf.Tensor:
    """Return the IoU (...) of boxes (..., 4) and anchors (..., 4), broadcast as in arithmetic."""
    common = intersection_of(boxes, anchors)
    return common / (area_of(boxes) + area_of(anchors) - common)


def intersection_of(boxes: tf.Tensor, anchors: tf.Tensor) -> tf.Tensor:
    """Return the area (...) that boxes (..., 4) and anchors (..., 4) have in common."""
    y0, x0, y1, x1 = (boxes[..., i] for i in range(4))
    a0, b0, a1, b1 = (anchors[..., i] for i in range(4))
    high = tf.maximum(tf.minimum(y1, a1) - tf.maximum(y0, a0), 0.0)
    wide = tf.maximum(tf.minimum(x1, b1) - tf.maximum(x0, b0), 0.0)
    return high * wide


def area_of(boxes: tf.Tensor) -> tf.Tensor:
    """Return the area (...) of boxes (..., 4)."""
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
