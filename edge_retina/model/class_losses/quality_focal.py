"""Quality focal loss: the class score of an object is trained to be the IoU of its box."""

from __future__ import annotations

from collections.abc import Callable

from edge_retina.config import LossConfig
from edge_retina.model.class_losses.modulation import modulation
from edge_retina.model.keras import tf


def quality_focal_loss(
    cls_logits: tf.Tensor,
    cls_targets: tf.Tensor,
    iou: Callable[[], tf.Tensor],
    settings: LossConfig,
) -> tf.Tensor:
    """Return the quality focal loss of every (anchor, class); see the package for the arguments.

        |y - p|**gamma BCE(y, p)

    y is 0 but for the anchor's class, where it is 1 - q + q IoU, q = `quality`. With q = 1 this is
    the source's, and scores rank detections by how well their boxes lie. There is no alpha.

    Source: Li et al. 2020, Generalized Focal Loss, equation 5.
    """
    one_hot = tf.one_hot(cls_targets, cls_logits.shape[-1])  # negative indices give rows of zeros
    quality = 1 - settings.quality + settings.quality * iou()
    target = one_hot * quality[..., None]
    cross_entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=target, logits=cls_logits)
    return modulation(target, cls_logits, settings.focal_gamma) * cross_entropy
