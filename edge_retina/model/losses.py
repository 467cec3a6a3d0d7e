"""Focal loss, Huber loss and the IoU losses, in TensorFlow."""

from __future__ import annotations

import math

from edge_retina.boxes.codec import CODE_SCALES, MAX_LOG_SIZE
from edge_retina.config import LossConfig
from edge_retina.model.keras import tf

_EPSILON = 1e-7


def focal_loss(
    targets: tf.Tensor,
    logits: tf.Tensor,
    *,
    alpha: float,
    gamma: float,
    label_smoothing: float = 0.0,
) -> tf.Tensor:
    """Return the focal loss of every (anchor, class), unreduced.

        -alpha_t (1 - p_t)**gamma log(p_t)

    Args:
        targets: (..., K) 0 or 1.
        logits: (..., K).
        alpha: weight of ones; zeros weigh 1 - alpha.
        gamma: 0 gives weighted cross-entropy.
        label_smoothing: ones become 1 - s / 2 and zeros s / 2 in the cross-entropy.

    Source: Lin et al. 2017, equation 5.
    """
    smooth = targets * (1 - label_smoothing) + label_smoothing / 2
    cross_entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=smooth, logits=logits)
    # 1 - p_t = sigmoid(-logit) for ones and sigmoid(logit) for zeros. In one sigmoid, and its power
    # by way of the logarithm, which is finite in value and gradient for every logit.
    toward = (1 - 2 * targets) * logits
    modulation = tf.exp(gamma * tf.math.log_sigmoid(toward)) if gamma else 1.0
    weight = targets * alpha + (1 - targets) * (1 - alpha)
    return weight * modulation * cross_entropy


def huber_loss(targets: tf.Tensor, outputs: tf.Tensor, *, delta: float) -> tf.Tensor:
    """Return the Huber loss of each row, summed over its last axis of four codes.

    Quadratic within `delta`, linear beyond, divided by delta, so that its slope there is 1.
    """
    error = tf.abs(targets - outputs)
    quadratic = tf.minimum(error, delta)
    return tf.reduce_sum((0.5 * quadratic**2 + delta * (error - quadratic)) / delta, axis=-1)


def iou_loss(target_boxes: tf.Tensor, boxes: tf.Tensor, *, kind: str) -> tf.Tensor:
    """Return 1 - GIoU or 1 - CIoU of boxes (..., 4) yxyx, row by row.

    Source: Rezatofighi et al. 2019 (giou); Zheng et al. 2020 (ciou; its trade-off factor is held
    constant in the gradient, as there).
    """
    low = tf.maximum(target_boxes[..., :2], boxes[..., :2])
    high = tf.minimum(target_boxes[..., 2:], boxes[..., 2:])
    intersection = tf.reduce_prod(tf.maximum(high - low, 0), axis=-1)
    target_size = target_boxes[..., 2:] - target_boxes[..., :2]
    size = boxes[..., 2:] - boxes[..., :2]
    union = tf.reduce_prod(target_size, axis=-1) + tf.reduce_prod(size, axis=-1) - intersection
    iou = intersection / (union + _EPSILON)
    hull = tf.maximum(target_boxes[..., 2:], boxes[..., 2:]) - tf.minimum(
        target_boxes[..., :2], boxes[..., :2]
    )
    if kind == "giou":
        hull_area = tf.reduce_prod(hull, axis=-1)
        return 1 - iou + (hull_area - union) / (hull_area + _EPSILON)
    shift = (target_boxes[..., :2] + target_boxes[..., 2:] - boxes[..., :2] - boxes[..., 2:]) / 2
    distance = tf.reduce_sum(shift**2, axis=-1) / (tf.reduce_sum(hull**2, axis=-1) + _EPSILON)
    angle = tf.atan2(target_size[..., 1], target_size[..., 0]) - tf.atan2(
        size[..., 1], size[..., 0]
    )
    shape = 4 / math.pi**2 * angle**2
    trade_off = tf.stop_gradient(shape / (1 - iou + shape + _EPSILON))
    return 1 - iou + distance + trade_off * shape


def decode_boxes(codes: tf.Tensor, anchors: tf.Tensor) -> tf.Tensor:
    """Return boxes (..., 4) yxyx for codes (..., 4) and anchors (..., 4); see `boxes.codec`."""
    anchor_low, anchor_high = anchors[..., :2], anchors[..., 2:]
    anchor_size = anchor_high - anchor_low
    plain = codes / tf.constant(CODE_SCALES)
    centre = plain[..., :2] * anchor_size + (anchor_low + anchor_high) / 2
    half = tf.exp(tf.minimum(plain[..., 2:], MAX_LOG_SIZE)) * anchor_size / 2
    return tf.concat([centre - half, centre + half], axis=-1)


def detection_loss(
    cls_logits: tf.Tensor,
    box_deltas: tf.Tensor,
    *,
    cls_targets: tf.Tensor,
    box_targets: tf.Tensor,
    anchors: tf.Tensor,
    loss: LossConfig,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the class loss and the box loss of a batch, scalars.

    Args:
        cls_logits: (B, A, K).
        box_deltas: (B, A, 4) codes.
        cls_targets: (B, A) int32: the class of a positive anchor, -1 background, -2 ignored.
        box_targets: (B, A, 4) codes of the matched boxes; anything where there is none.
        anchors: (A, 4) yxyx in pixels.
        loss: kinds and weights; `box_weight` is applied here.

    Both are sums divided by the number of positive anchors of the batch (at least 1).
    """
    positive = cls_targets >= 0
    count = tf.maximum(tf.reduce_sum(tf.cast(positive, tf.float32)), 1.0)
    one_hot = tf.one_hot(cls_targets, cls_logits.shape[-1])  # negative indices give rows of zeros
    each = focal_loss(
        one_hot,
        cls_logits,
        alpha=loss.focal_alpha,
        gamma=loss.focal_gamma,
        label_smoothing=loss.label_smoothing,
    )
    counted = tf.cast(cls_targets != -2, tf.float32)[..., None]
    cls_loss = tf.reduce_sum(each * counted) / count

    where = tf.where(positive)
    outputs, targets = tf.gather_nd(box_deltas, where), tf.gather_nd(box_targets, where)
    if loss.box_loss == "huber":
        rows = huber_loss(targets, outputs, delta=loss.huber_delta)
    else:
        matched = tf.gather(anchors, where[:, 1])
        rows = iou_loss(
            decode_boxes(targets, matched), decode_boxes(outputs, matched), kind=loss.box_loss
        )
    return cls_loss, loss.box_weight * tf.reduce_sum(rows) / count
