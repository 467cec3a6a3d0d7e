"""What a training minimises: the losses of a batch, by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from edge_retina.config import LossConfig
from edge_retina.model.distillation import distillation_loss
from edge_retina.model.keras import keras, tf
from edge_retina.model.losses import DetectionLoss
from edge_retina.model.replicas import replica_count
from edge_retina.model.teacher import Teacher
from edge_retina.runtime.image import MEAN, STD
from edge_retina.training.evidence import anchor_figures


class Computed(NamedTuple):
    """What an objective computes of a batch.

    Attributes:
        losses: scalars by name, to be added up.
        figures: numbers and vectors by name that are only logged.
    """

    losses: dict[str, tf.Tensor]
    figures: dict[str, tf.Tensor]


Objective = Callable[..., Computed]
# (cls_logits, box_deltas, teacher_logits, teacher_deltas) -> scalar
Distance = Callable[[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]


def detection_objective(
    model: keras.Model,
    *,
    anchors_px: np.ndarray,
    loss: LossConfig,
    teacher: keras.Model | Teacher | None = None,
    distillation: float = 0.0,
    distance: Distance = distillation_loss,
    level_anchors: Sequence[int] = (),
    training: bool = True,
) -> Objective:
    """Return the function that computes the losses of `model` on a batch.

    Args:
        model: outputs cls_logits (B, A, K) and box_deltas (B, A, 4), in any precision; losses are
            computed in float32.
        anchors_px: (A, 4) yxyx in pixels.
        loss: kinds and weights.
        teacher: gives the same outputs, to stay close to; None for no such loss.
        distillation: weight of the distance to the teacher.
        distance: of the model's outputs to those of the teacher.
        level_anchors: how many of the anchors each level of the pyramid has.
        training: whether BatchNorms use the statistics of the batch, and follow them.

    Returns:
        A function of images (B, H, W, 3) uint8, cls_targets (B, A), box_targets (B, A, 4) and, if
        the teacher has another input size, teacher_images (B, h, w, 3) uint8. The losses that it
        returns are `cls_loss`, `box_loss` and, with a teacher, `distance`; the figures are those of
        `anchor_figures` and `positive_cls_loss`, the part of `cls_loss` of the positive anchors.
    """
    anchors, detection_loss = tf.constant(anchors_px), DetectionLoss(loss)

    def compute(
        images: tf.Tensor,
        cls_targets: tf.Tensor,
        box_targets: tf.Tensor,
        teacher_images: tf.Tensor | None = None,
    ) -> Computed:
        normalised = _normalise(images)
        outputs = model(normalised, training=training)
        cls_logits, box_deltas = (tf.cast(output, tf.float32) for output in outputs)
        parts = detection_loss(
            cls_logits,
            box_deltas,
            cls_targets=cls_targets,
            box_targets=box_targets,
            anchors=anchors,
        )
        named = {"cls_loss": parts.classes, "box_loss": parts.boxes}
        if teacher is not None:
            seen = normalised if teacher_images is None else _normalise(teacher_images)
            expected = [tf.stop_gradient(x) for x in teacher(seen, training=False)]
            named["distance"] = distillation * distance(cls_logits, box_deltas, *expected)
        figures = anchor_figures(cls_logits, cls_targets, box_targets, level_anchors=level_anchors)
        # A figure is the mean of those of all replicas; this one is a part of a sum over them.
        positives = parts.positives * replica_count()
        return Computed(named, {"positive_cls_loss": positives, **figures})

    return compute


def without_figures(objective: Objective) -> Objective:
    """Return an objective that computes the losses alone, to measure what the figures cost."""

    def compute(*batch: tf.Tensor) -> Computed:
        return Computed(objective(*batch).losses, {})

    return compute


def _normalise(images: tf.Tensor) -> tf.Tensor:
    return (tf.cast(images, tf.float32) - MEAN) / STD
