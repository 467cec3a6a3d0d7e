"""The box code in TensorFlow; `boxes.codec` explains it and is its numpy reference."""

from __future__ import annotations

from edge_retina.boxes.codec import CODE_SCALES, MAX_LOG_SIZE
from edge_retina.model.keras import tf


def decode_boxes(codes: tf.Tensor, anchors: tf.Tensor) -> tf.Tensor:
    """Return boxes (..., 4) yxyx for codes (..., 4), in the frame of anchors (..., 4)."""
    anchor_low, anchor_high = anchors[..., :2], anchors[..., 2:]
    anchor_size = anchor_high - anchor_low
    plain = codes / tf.constant(CODE_SCALES)
    centre = plain[..., :2] * anchor_size + (anchor_low + anchor_high) / 2
    half = tf.exp(tf.minimum(plain[..., 2:], MAX_LOG_SIZE)) * anchor_size / 2
    return tf.concat([centre - half, centre + half], axis=-1)
