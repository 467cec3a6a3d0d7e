"""How far a model's outputs are from those of another one."""

from __future__ import annotations

from edge_retina.model.keras import tf


def distillation_loss(
    cls_logits: tf.Tensor,
    box_deltas: tf.Tensor,
    teacher_logits: tf.Tensor,
    teacher_deltas: tf.Tensor,
) -> tf.Tensor:
    """Return the distance to a teacher's outputs, a scalar that is 0 where they agree.

    Scores: cross-entropy to the teacher's score less its own entropy, weighted by the squared
    difference of the scores (Li et al. 2020, Generalized Focal Loss, equation 5), so that the many
    anchors both call background don't drown the rest. Boxes: absolute difference of the codes,
    weighted by the teacher's best score. Both per unit of teacher score.

    Args:
        cls_logits: (B, A, K).
        box_deltas: (B, A, 4).
        teacher_logits: (B, A, K).
        teacher_deltas: (B, A, 4).
    """
    scores, target = tf.sigmoid(cls_logits), tf.sigmoid(teacher_logits)
    cross = tf.nn.sigmoid_cross_entropy_with_logits(labels=target, logits=cls_logits)
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=target, logits=teacher_logits)
    focus = tf.square(scores - target)
    weight = tf.reduce_max(target, axis=-1)
    weight = tf.where(weight > 0.05, weight, 0.0)
    amount = tf.maximum(tf.reduce_sum(weight), 1.0)
    cls_part = tf.reduce_sum(focus * (cross - entropy)) / amount
    difference = tf.reduce_mean(tf.abs(box_deltas - teacher_deltas), axis=-1)
    return cls_part + tf.reduce_sum(weight * difference) / amount
