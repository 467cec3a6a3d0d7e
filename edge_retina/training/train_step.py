"""One training step, compiled: gradients, optimiser, moving average of the weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edge_retina.config import LossConfig
from edge_retina.model.keras import keras, tf
from edge_retina.model.losses import detection_loss
from edge_retina.runtime.image import MEAN, STD

TrainStep = Callable[..., tuple[tf.Tensor, tf.Tensor]]


def make_train_step(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    *,
    anchors_px: np.ndarray,
    loss: LossConfig,
    average: keras.Model | None = None,
    ema_decay: float = 0.0,
) -> TrainStep:
    """Compile the step of one batch.

    Args:
        model: trained in place.
        optimizer: built for the model's trainable variables.
        anchors_px: (A, 4) yxyx in pixels.
        loss: see `model.losses.detection_loss`.
        average: a model of the same structure, whose weights follow as a moving average.
        ema_decay: of that average, warmed up as min(decay, (1 + n) / (10 + n)).

    Returns:
        A function of images (B, H, W, 3) uint8, cls_targets (B, A), box_targets (B, A, 4) and the
        learning rate, that returns the class loss and the box loss. When either is not finite,
        trained weights and their average stay as they were; BatchNorm statistics have moved.
    """
    anchors = tf.constant(anchors_px)

    @tf.function
    def train_step(
        images: tf.Tensor, cls_targets: tf.Tensor, box_targets: tf.Tensor, learning_rate: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        optimizer.learning_rate.assign(learning_rate)
        with tf.GradientTape() as tape:
            normalised = (tf.cast(images, tf.float32) - MEAN) / STD
            cls_logits, box_deltas = model(normalised, training=True)
            losses = detection_loss(
                cls_logits,
                box_deltas,
                cls_targets=cls_targets,
                box_targets=box_targets,
                anchors=anchors,
                loss=loss,
            )
            cls_loss, box_loss = losses["cls_loss"], losses["box_loss"]
            total = cls_loss + box_loss
        gradients = tape.gradient(total, model.trainable_variables)
        if tf.math.is_finite(total):
            optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
            if average is not None:
                count = tf.cast(optimizer.iterations, tf.float32)
                decay = tf.minimum(ema_decay, (1 + count) / (10 + count))
                for mean, value in zip(average.weights, model.weights, strict=True):
                    mean.assign_sub((1 - decay) * (mean - value))
        return cls_loss, box_loss

    return train_step
