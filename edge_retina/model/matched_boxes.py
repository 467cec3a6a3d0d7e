"""The boxes of the positive anchors beside the objects they should find."""

from __future__ import annotations

from functools import cached_property

from edge_retina.model.box_codec import decode_boxes
from edge_retina.model.keras import tf

EPSILON = 1e-7  # keeps divisions by an area finite


class MatchedBoxes:
    """Box outputs and their targets, row by row; everything derived is computed on first use.

    Attributes:
        codes: (N, 4) what the box head says.
        target_codes: (N, 4) what it should say.
        anchors: (N, 4) yxyx in pixels.
    """

    def __init__(self, codes: tf.Tensor, target_codes: tf.Tensor, anchors: tf.Tensor) -> None:
        self.codes, self.target_codes, self.anchors = codes, target_codes, anchors

    @cached_property
    def boxes(self) -> tf.Tensor:
        """(N, 4) yxyx in pixels: the decoded codes."""
        return decode_boxes(self.codes, self.anchors)

    @cached_property
    def target_boxes(self) -> tf.Tensor:
        """(N, 4) yxyx in pixels: the decoded target codes."""
        return decode_boxes(self.target_codes, self.anchors)

    @cached_property
    def size(self) -> tf.Tensor:
        """(N, 2) height and width of `boxes`."""
        return self.boxes[..., 2:] - self.boxes[..., :2]

    @cached_property
    def target_size(self) -> tf.Tensor:
        """(N, 2) height and width of `target_boxes`."""
        return self.target_boxes[..., 2:] - self.target_boxes[..., :2]

    @cached_property
    def intersection(self) -> tf.Tensor:
        """(N,) common area."""
        low = tf.maximum(self.target_boxes[..., :2], self.boxes[..., :2])
        high = tf.minimum(self.target_boxes[..., 2:], self.boxes[..., 2:])
        return tf.reduce_prod(tf.maximum(high - low, 0), axis=-1)

    @cached_property
    def union(self) -> tf.Tensor:
        """(N,) area covered by either box."""
        areas = tf.reduce_prod(self.target_size, axis=-1) + tf.reduce_prod(self.size, axis=-1)
        return areas - self.intersection

    @cached_property
    def iou(self) -> tf.Tensor:
        """(N,) intersection over union."""
        return self.intersection / (self.union + EPSILON)

    @cached_property
    def hull_size(self) -> tf.Tensor:
        """(N, 2) height and width of the smallest box around both."""
        low = tf.minimum(self.target_boxes[..., :2], self.boxes[..., :2])
        return tf.maximum(self.target_boxes[..., 2:], self.boxes[..., 2:]) - low
