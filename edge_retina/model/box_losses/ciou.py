"""Complete IoU loss of the decoded boxes."""

from __future__ import annotations

import math

from edge_retina.config import LossConfig
from edge_retina.model.keras import tf
from edge_retina.model.matched_boxes import EPSILON, MatchedBoxes


def ciou_loss(matched: MatchedBoxes, _settings: LossConfig) -> tf.Tensor:
    """Return 1 - CIoU of each row: 1 - IoU + distance of the centres + difference of the shapes.

    Source: Zheng et al. 2020, Distance-IoU Loss. The trade-off factor is held constant in the
    gradient, as there.
    """
    target_boxes, boxes = matched.target_boxes, matched.boxes
    shift = (target_boxes[..., :2] + target_boxes[..., 2:] - boxes[..., :2] - boxes[..., 2:]) / 2
    diagonal = tf.reduce_sum(matched.hull_size**2, axis=-1)
    distance = tf.reduce_sum(shift**2, axis=-1) / (diagonal + EPSILON)
    shape = 4 / math.pi**2 * (_angle(matched.target_size) - _angle(matched.size)) ** 2
    trade_off = tf.stop_gradient(shape / (1 - matched.iou + shape + EPSILON))
    return 1 - matched.iou + distance + trade_off * shape


def _angle(size: tf.Tensor) -> tf.Tensor:
    return tf.atan2(size[..., 1], size[..., 0])
