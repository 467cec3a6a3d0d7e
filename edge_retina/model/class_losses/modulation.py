"""The factor by which focal losses play down what is nearly right."""

from __future__ import annotations

from edge_retina.model.keras import tf

# The power of a smaller distance has no finite slope for every gamma.
_SMALLEST_DISTANCE = 1e-12


def modulation(target: tf.Tensor, logits: tf.Tensor, gamma: float) -> tf.Tensor:
    """Return |y - p|**gamma for targets y in 0..1 and p = sigmoid(logits), both of one shape.

    Source: Li et al. 2020, Generalized Focal Loss, equation 5.
    """
    # y - p = y (1 - p) - (1 - y) p, which loses no digits where p is next to 0 or 1.
    distance = tf.abs(target * tf.sigmoid(-logits) - (1 - target) * tf.sigmoid(logits))
    return tf.maximum(distance, _SMALLEST_DISTANCE) ** gamma
