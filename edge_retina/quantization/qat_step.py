"""One step of quantisation-aware training: detection loss and distance to the float model."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edge_retina.config import LossConfig
from edge_retina.model.keras import keras, tf
from edge_retina.model.losses import detection_loss
from edge_retina.runtime.image import MEAN, STD


def make_qat_step(
    student: keras.Model,
    teacher: keras.Model | None,
    optimizer: keras.optimizers.Optimizer,
    *,
    variables: list[tf.Variable],
    anchors_px: np.ndarray,
    loss: LossConfig,
    distillation: float,
) -> Callable[..., tuple[tf.Tensor, tf.Tensor, tf.Tensor]]:
    """Compile the step of one batch.

    Args:
        student: fake-quantised, outputs cls_logits (B, A, K) and box_deltas (B, A, 4).
        teacher: the float model with the same outputs; None when `distillation` is 0.
        optimizer: built for `variables`.
        variables: kernels and biases of the student.
        anchors_px: (A, 4) yxyx in pixels.
        loss: see `model.losses.detection_loss`.
        distillation: weight of the distance to the teacher.

    Returns:
        A function of images (uint8), cls_targets, box_targets and the learning rate that returns
        the class loss, the box loss and the weighted distance.
    """
    anchors = tf.constant(anchors_px)

    @tf.function
    def qat_step(
        images: tf.Tensor, cls_targets: tf.Tensor, box_targets: tf.Tensor, learning_rate: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        optimizer.learning_rate.assign(learning_rate)
        normalised = (tf.cast(images, tf.float32) - MEAN) / STD
        expected = teacher(normalised, training=False) if teacher is not None else None
        with tf.GradientTape() as tape:
            cls_logits, box_deltas = student(normalised, training=True)
            losses = detection_loss(
                cls_logits,
                box_deltas,
                cls_targets=cls_targets,
                box_targets=box_targets,
                anchors=anchors,
                loss=loss,
            )
            cls_loss, box_loss = losses["cls_loss"], losses["box_loss"]
            distance = tf.zeros(())
            if expected is not None:
                distance = distillation * distillation_loss(cls_logits, box_deltas, *expected)
            total = cls_loss + box_loss + distance
        gradients = tape.gradient(total, variables)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return cls_loss, box_loss, distance

    return qat_step


def distillation_loss(
    cls_logits: tf.Tensor,
    box_deltas: tf.Tensor,
    teacher_logits: tf.Tensor,
    teacher_deltas: tf.Tensor,
) -> tf.Tensor:
    """Return how far outputs are from the float model's, a scalar that is 0 where they agree.

    Scores: cross-entropy to the teacher's score less its own entropy, weighted by the squared
    difference of the scores (Li et al. 2020, Generalized Focal Loss, equation 5), so that the many
    anchors both call background don't drown the rest. Boxes: absolute difference of the codes,
    weighted by the teacher's best score. Both per unit of teacher score.
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
