"""Focal loss, with targets that may be smoothed."""

from __future__ import annotations

from collections.abc import Callable

from edge_retina.config import LossConfig
from edge_retina.model.class_losses.modulation import modulation
from edge_retina.model.keras import tf


def focal_loss(
    cls_logits: tf.Tensor,
    cls_targets: tf.Tensor,
    _iou: Callable[[], tf.Tensor],
    settings: LossConfig,
) -> tf.Tensor:
    """Return the focal loss of every (anchor, class); see the package for the arguments.

        alpha_t |y - p|**gamma BCE(y, p)

    y is 1 - s / 2 for the anchor's class and s / 2 for the others, s = `label_smoothing`; alpha_t
    is `focal_alpha` for the former and 1 - `focal_alpha` for the latter. The least loss is at
    p = y; with s = 0 this is equation 5 of the source.

    Source: Lin et al. 2017, Focal Loss for Dense Object Detection. Li et al. 2020, Generalized
    Focal Loss (equation 5) for |y - p| in place of 1 - p_t where y is neither 0 nor 1.
    """
    one_hot = tf.one_hot(cls_targets, cls_logits.shape[-1])  # negative indices give rows of zeros
    smoothing, alpha, gamma = settings.label_smoothing, settings.focal_alpha, settings.focal_gamma
    target = one_hot * (1 - smoothing) + smoothing / 2
    cross_entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=target, logits=cls_logits)
    weight = one_hot * alpha + (1 - one_hot) * (1 - alpha)
    if not gamma:
        return weight * cross_entropy
    return weight * modulation(target, cls_logits, gamma) * cross_entropy
