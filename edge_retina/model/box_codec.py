"""Box codes in TensorFlow; `boxes.codec` says what they mean and is the numpy form."""

from __future__ import annotations

from edge_retina.boxes.codec import CODE_SCALES, MAX_LOG_SIZE
from edge_retina.model.keras import tf


def encode_boxes(boxes: tf.Tensor, anchors: tf.Tensor) -> tf.Tensor:
    """Return the codes (..., 4) of boxes (..., 4) relative to anchors (..., 4), row by row.

    Args:
        boxes: yxyx; a side below 1e-6 counts as that long.
        anchors: yxyx in the same frame.
    """
    anchor_low, anchor_high = anchors[..., :2], anchors[..., 2:]
    anchor_size = anchor_high - anchor_low
    size = boxes[..., 2:] - boxes[..., :2]
    shift = (boxes[..., :2] + boxes[..., 2:] - anchor_low - anchor_high) / 2 / anchor_size
    growth = tf.math.log(tf.maximum(size, 1e-6) / anchor_size)
    return tf.concat([shift, growth], axis=-1) * tf.constant(CODE_SCALES)


def decode_boxes(codes: tf.Tensor, anchors: tf.Tensor) -> tf.Tensor:
    """Return the boxes (..., 4) yxyx of codes (..., 4), in the frame of anchors (..., 4)."""
    low, high = anchors[..., :2], anchors[..., 2:]
    return decode_unscaled(
        codes / tf.constant(CODE_SCALES), centres=(low + high) / 2, sizes=high - low
    )


def decode_unscaled(codes: tf.Tensor, *, centres: tf.Tensor, sizes: tf.Tensor) -> tf.Tensor:
    """Return the boxes (..., 4) yxyx of codes that are divided by `CODE_SCALES` already.

    Args:
        codes: (..., 4).
        centres: (..., 2) y, x of the anchors.
        sizes: (..., 2) height, width of the anchors.
    """
    last = codes.shape.rank - 1  # -1 would be one more constant in the .tflite file
    shift, growth = tf.split(codes, 2, axis=last)
    centre = shift * sizes + centres
    half = tf.exp(tf.minimum(growth, MAX_LOG_SIZE)) * sizes * 0.5
    return tf.concat([centre - half, centre + half], axis=last)
