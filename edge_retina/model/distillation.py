"""How far a model's outputs are from those of another one."""

from __future__ import annotations

import numpy as np

from edge_retina.choices import BOX_LOSSES, load_choice
from edge_retina.config import LossConfig
from edge_retina.model.keras import tf
from edge_retina.model.matched_boxes import MatchedBoxes
from edge_retina.model.replicas import sum_over_replicas

_SEEN = 0.05  # a teacher's score below this is background, where its box means nothing
# Boxes that overlap more are the same, but for the rounding of a box that was decoded and encoded
# again. IoU losses have a kink there, whose slope would lead away from the teacher.
_SAME_IOU = 0.9999


def distillation_loss(
    cls_logits: tf.Tensor,
    box_deltas: tf.Tensor,
    teacher_logits: tf.Tensor,
    teacher_deltas: tf.Tensor,
) -> tf.Tensor:
    """Return the distance to a teacher's outputs, a scalar that is 0 where they agree.

    For a model that starts as the teacher's copy and is to stay near it, as in QAT. Scores:
    cross-entropy to the teacher's score less its own entropy, weighted by the squared difference of
    the scores (Li et al. 2020, Generalized Focal Loss, equation 5), so that the many anchors both
    call background don't drown the rest. Boxes: absolute difference of the codes, weighted by the
    teacher's best score. Both per unit of teacher score.

    Args:
        cls_logits: (B, A, K).
        box_deltas: (B, A, 4).
        teacher_logits: (B, A, K).
        teacher_deltas: (B, A, 4).
    """
    weight = _seen_scores(teacher_logits)
    amount = tf.maximum(sum_over_replicas(tf.reduce_sum(weight)), 1.0)
    focus = tf.square(tf.sigmoid(cls_logits) - tf.sigmoid(teacher_logits))
    cls_part = tf.reduce_sum(focus * _divergence(cls_logits, teacher_logits)) / amount
    difference = tf.reduce_mean(tf.abs(box_deltas - teacher_deltas), axis=-1)
    return cls_part + tf.reduce_sum(weight * difference) / amount


class ImitationLoss:
    """The distance to a teacher for a model that is trained from the start, labels beside it.

    It differs from `distillation_loss` in two ways, both because such a model begins far from its
    teacher and has other anchors:
    - scores are weighted by their difference, not its square, which fades too early;
    - boxes are compared as the labels' boxes are, by the config's box loss. It doesn't grow with
      the distance without a limit, as codes do, so a teacher's rare wild box does no harm.

    With weight 1 each part is of the size of the loss of the labels: both count objects as 1.

    Source: Yang et al. 2023, Bridging Cross-task Protocol Inconsistency for Distillation in Dense
    Object Detection: sigmoid scores weighted by their difference, boxes by IoU. Wang et al. 2024,
    CrossKD, has the same two parts, with GIoU. Deviation: a box counts by the teacher's score, and
    all is per unit of that score.
    """

    def __init__(
        self, settings: LossConfig, *, anchors_px: np.ndarray, counted: np.ndarray
    ) -> None:
        """Take the box loss and its weight, the anchors, and which of them are compared.

        Args:
            settings: names the box loss.
            anchors_px: (A, 4) yxyx in pixels.
            counted: (A,) bool; the others have no part in the loss.
        """
        self._settings = settings
        self._box_loss = load_choice(BOX_LOSSES, settings.box_loss)
        self._anchors = tf.constant(anchors_px)
        self._counted = tf.constant(counted, tf.float32)

    def __call__(
        self,
        cls_logits: tf.Tensor,
        box_deltas: tf.Tensor,
        teacher_logits: tf.Tensor,
        teacher_deltas: tf.Tensor,
    ) -> tf.Tensor:
        """Return the distance, a scalar; see `distillation_loss` for the shapes."""
        weight = self._counted * _seen_scores(teacher_logits)
        amount = tf.maximum(sum_over_replicas(tf.reduce_sum(weight)), 1.0)
        focus = tf.abs(tf.sigmoid(cls_logits) - tf.sigmoid(teacher_logits))
        each = focus * _divergence(cls_logits, teacher_logits) * self._counted[:, None]
        where = tf.where(weight > 0)
        boxes = MatchedBoxes(
            tf.gather_nd(box_deltas, where),
            tf.gather_nd(teacher_deltas, where),
            tf.gather(self._anchors, where[:, 1]),
        )
        rows = tf.where(boxes.iou < _SAME_IOU, self._box_loss(boxes, self._settings), 0.0)
        box_part = self._settings.box_weight * tf.reduce_sum(tf.gather_nd(weight, where) * rows)
        return (tf.reduce_sum(each) + box_part) / amount


def _seen_scores(teacher_logits: tf.Tensor) -> tf.Tensor:
    """Return the teacher's best score (B, A) at each anchor, 0 where it sees background."""
    best = tf.reduce_max(tf.sigmoid(teacher_logits), axis=-1)
    return tf.where(best > _SEEN, best, 0.0)


def _divergence(cls_logits: tf.Tensor, teacher_logits: tf.Tensor) -> tf.Tensor:
    """Return the cross-entropy to the teacher's scores (B, A, K) less their own entropy."""
    target = tf.sigmoid(teacher_logits)
    cross = tf.nn.sigmoid_cross_entropy_with_logits(labels=target, logits=cls_logits)
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=target, logits=teacher_logits)
    return cross - entropy
