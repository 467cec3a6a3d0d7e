"""Huber loss of the box codes."""

from __future__ import annotations

from edge_retina.config import LossConfig
from edge_retina.model.keras import tf
from edge_retina.model.matched_boxes import MatchedBoxes


def huber_loss(matched: MatchedBoxes, settings: LossConfig) -> tf.Tensor:
    """Return the Huber loss of each row, summed over its four codes.

    Quadratic within `huber_delta`, linear beyond, divided by it, so that the slope there is 1.
    """
    delta = settings.huber_delta
    error = tf.abs(matched.target_codes - matched.codes)
    quadratic = tf.minimum(error, delta)
    return tf.reduce_sum((0.5 * quadratic**2 + delta * (error - quadratic)) / delta, axis=-1)
