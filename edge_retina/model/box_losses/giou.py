"""Generalised IoU loss of the decoded boxes."""

from __future__ import annotations

from edge_retina.config import LossConfig
from edge_retina.model.keras import tf
from edge_retina.model.matched_boxes import EPSILON, MatchedBoxes


def giou_loss(matched: MatchedBoxes, _settings: LossConfig) -> tf.Tensor:
    """Return 1 - GIoU of each row: 1 - IoU + the share of the hull that neither box covers.

    Source: Rezatofighi et al. 2019, Generalized Intersection over Union.
    """
    hull_area = tf.reduce_prod(matched.hull_size, axis=-1)
    return 1 - matched.iou + (hull_area - matched.union) / (hull_area + EPSILON)
