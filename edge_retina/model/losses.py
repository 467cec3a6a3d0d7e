"""The detection loss: a class loss and a box loss, each chosen by its name."""

from __future__ import annotations

from typing import NamedTuple

from edge_retina.boxes.matching import IGNORED
from edge_retina.choices import BOX_LOSSES, CLASS_LOSSES, load_choice
from edge_retina.config import LossConfig
from edge_retina.model.keras import tf
from edge_retina.model.matched_boxes import MatchedBoxes
from edge_retina.model.replicas import sum_over_replicas


class DetectionLosses(NamedTuple):
    """The parts of the loss of a batch, scalars, all divided by the number of positive anchors.

    On several devices it is the number in the whole batch, and the sums of all replicas are the
    losses of the whole batch.

    Attributes:
        positives: class loss of the positive anchors.
        negatives: class loss of the negative ones.
        boxes: box loss, with its weight.
    """

    positives: tf.Tensor
    negatives: tf.Tensor
    boxes: tf.Tensor

    @property
    def classes(self) -> tf.Tensor:
        """The class loss."""
        return self.positives + self.negatives


class DetectionLoss:
    """The losses of a batch, of the kinds and with the weights of a `LossConfig`."""

    def __init__(self, settings: LossConfig) -> None:
        """Look the kinds up.

        Raises:
            ConfigError: `settings` names an unknown one.
        """
        self._settings = settings
        self._class_loss = load_choice(CLASS_LOSSES, settings.cls_loss)
        self._box_loss = load_choice(BOX_LOSSES, settings.box_loss)

    def __call__(
        self,
        cls_logits: tf.Tensor,
        box_deltas: tf.Tensor,
        *,
        cls_targets: tf.Tensor,
        box_targets: tf.Tensor,
        anchors: tf.Tensor,
    ) -> DetectionLosses:
        """Return the losses: sums divided by the number of positive anchors, at least 1.

        Args:
            cls_logits: (B, A, K).
            box_deltas: (B, A, 4) codes.
            cls_targets: (B, A) int32: the class of a positive anchor, else NEGATIVE or IGNORED.
            box_targets: (B, A, 4) codes of the matched boxes; anything where there is none.
            anchors: (A, 4) yxyx in pixels.
        """
        settings = self._settings
        where = tf.where(cls_targets >= 0)
        positives = sum_over_replicas(tf.cast(tf.shape(where)[0], tf.float32))
        count = tf.maximum(positives, 1.0)
        matched = MatchedBoxes(
            tf.gather_nd(box_deltas, where),
            tf.gather_nd(box_targets, where),
            tf.gather(anchors, where[:, 1]),
        )

        def iou() -> tf.Tensor:
            shape = tf.shape(cls_targets, out_type=tf.int64)
            return tf.scatter_nd(where, tf.stop_gradient(matched.iou), shape)

        counted = tf.cast(cls_targets != IGNORED, tf.float32)[..., None]
        each = self._class_loss(cls_logits, cls_targets, iou, settings) * counted
        by_anchor = tf.reduce_sum(each, axis=-1)
        zero = tf.zeros_like(by_anchor)
        positive = cls_targets >= 0
        rows = self._box_loss(matched, settings)
        return DetectionLosses(
            tf.reduce_sum(tf.where(positive, by_anchor, zero)) / count,
            tf.reduce_sum(tf.where(positive, zero, by_anchor)) / count,
            settings.box_weight * tf.reduce_sum(rows) / count,
        )
