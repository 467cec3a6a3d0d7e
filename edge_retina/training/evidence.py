"""Figures of a training step beside its losses: what a diagnosis of the training rests on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_retina.boxes.codec import CODE_SCALES
from edge_retina.boxes.matching import IGNORED
from edge_retina.layer_names import parse_head_layer
from edge_retina.model.backbone import is_backbone_layer
from edge_retina.model.keras import keras, tf

# Of the scores of positive anchors; a low median with a good ranking points to the focal loss.
_QUANTILES = {"p10": 0.1, "p50": 0.5, "p90": 0.9}
_TINY = 1e-12
# An anchor that overlaps its object by less was made positive for want of a better one.
FORCED_IOU = 0.4


def anchor_figures(
    cls_logits: tf.Tensor,
    cls_targets: tf.Tensor,
    box_targets: tf.Tensor,
    *,
    level_anchors: Sequence[int] = (),
) -> dict[str, tf.Tensor]:
    """Return what the anchors of a batch were trained for, and the scores they have.

    Args:
        cls_logits: (B, A, K) float32.
        cls_targets: (B, A) int32: a class, NEGATIVE or IGNORED.
        box_targets: (B, A, 4) codes of the object of each positive anchor.
        level_anchors: how many of the A anchors each of the L levels has; () for no figures by
            level.

    Returns:
        `positives`: positive anchors of an image. `ignored`: share of all anchors.
        `positives_by_class` (K,) and `positives_by_level` (L,): as `positives`.
        `forced`, `forced_by_class` and `forced_by_level`: the positive anchors of an image that
        overlap their object by less than `FORCED_IOU`.
        `positive_score_p10`, `_p50` and `_p90`: quantiles of the score of the right class at
        positive anchors; NaN if there are none.
    """
    images = tf.cast(tf.shape(cls_targets)[0], tf.float32)
    positive = cls_targets >= 0
    where = tf.where(positive)
    classes = tf.gather_nd(cls_targets, where)
    count = cls_logits.shape[-1]
    counts = tf.math.unsorted_segment_sum(tf.ones_like(classes, tf.float32), classes, count)
    overlap = overlap_with_anchor(tf.gather_nd(box_targets, where))
    weak = tf.cast(overlap < FORCED_IOU, tf.float32)
    forced_counts = tf.math.unsorted_segment_sum(weak, classes, count)
    own = tf.concat([where, tf.cast(classes, where.dtype)[:, None]], axis=1)
    scores = tf.sigmoid(tf.gather_nd(cls_logits, own))
    figures = {
        "positives": tf.reduce_sum(counts) / images,
        "ignored": tf.reduce_mean(tf.cast(cls_targets == IGNORED, tf.float32)),
        "positives_by_class": counts / images,
        "forced": tf.reduce_sum(weak) / images,
        "forced_by_class": forced_counts / images,
    }
    if level_anchors:
        last = tf.constant(np.cumsum(level_anchors), where.dtype)
        level = tf.searchsorted(last, where[:, 1], side="right")
        by_level = tf.math.unsorted_segment_sum(
            tf.stack([tf.ones_like(weak), weak], axis=1), level, len(level_anchors)
        )
        figures["positives_by_level"] = by_level[:, 0] / images
        figures["forced_by_level"] = by_level[:, 1] / images
    return figures | _quantiles(scores)


def overlap_with_anchor(codes: tf.Tensor) -> tf.Tensor:
    """Return the IoU (N,) of boxes with their anchors, which their codes (N, 4) alone tell.

    In the anchor's own frame it is the square from -.5 to .5.
    """
    plain = tf.cast(codes, tf.float32) / tf.constant(CODE_SCALES)
    centre, size = plain[:, :2], tf.exp(plain[:, 2:])
    low, high = tf.maximum(centre - size / 2, -0.5), tf.minimum(centre + size / 2, 0.5)
    common = tf.reduce_prod(tf.maximum(high - low, 0.0), axis=1)
    return common / (1.0 + tf.reduce_prod(size, axis=1) - common)


def _quantiles(scores: tf.Tensor) -> dict[str, tf.Tensor]:
    # The NaN at the end is what is read when there are no scores.
    ordered = tf.concat([tf.sort(scores), [float("nan")]], axis=0)
    last = tf.maximum(tf.cast(tf.shape(scores)[0], tf.float32) - 1, 0)
    return {
        f"positive_score_{name}": ordered[tf.cast(tf.round(share * last), tf.int32)]
        for name, share in _QUANTILES.items()
    }


def network_parts(model: keras.Model, backbone: str) -> dict[str, list[tf.Variable]]:
    """Return the trainable variables by part: backbone, fpn, cls_head and box_head.

    Args:
        model: the float model.
        backbone: a key of `BACKBONES`.
    """
    parts: dict[str, list[tf.Variable]] = {}
    for layer in model.layers:
        head = parse_head_layer(layer.name)
        if is_backbone_layer(layer.name, backbone):
            part = "backbone"
        else:
            part = f"{head.head}_head" if head else "fpn"
        parts.setdefault(part, []).extend(layer.trainable_variables)
    return {part: variables for part, variables in parts.items() if variables}


# Reading all weights twice costs about a hundredth of a step; a window of a log has 20 steps.
_MEASURED_EVERY = 4


class UpdateRatios:
    """How far a step moves each part of a network: the norm of the change to that of the values.

    Measured in the first step and every fourth one after it; NaN in the others.
    """

    def __init__(self, parts: dict[str, list[tf.Variable]]) -> None:
        """Take the variables of each part, by its name."""
        self._parts = parts

    def before(self, iterations: tf.Variable) -> list[tf.Tensor]:
        """Return what `after` needs: whether to measure, and the values before the step.

        Args:
            iterations: steps that were done.
        """
        variables = [variable for values in self._parts.values() for variable in values]
        is_measured = iterations % _MEASURED_EVERY == 0
        return [
            is_measured,
            *tf.cond(
                is_measured,
                lambda: [tf.identity(variable) for variable in variables],
                lambda: [tf.zeros([0] * variable.shape.rank) for variable in variables],
            ),
        ]

    def after(self, before: list[tf.Tensor]) -> dict[str, tf.Tensor]:
        """Return the ratios, `update_ratio_PART`, after the step."""
        is_measured, *values = before
        ratios = tf.cond(
            is_measured,
            lambda: self._ratios(values),
            lambda: [tf.constant(float("nan"))] * len(self._parts),
        )
        return {
            f"update_ratio_{part}": ratio for part, ratio in zip(self._parts, ratios, strict=True)
        }

    def _ratios(self, values: list[tf.Tensor]) -> list[tf.Tensor]:
        ratios, rest = [], iter(values)
        for variables in self._parts.values():
            old = [next(rest) for _ in variables]
            changes = [variable - value for variable, value in zip(variables, old, strict=True)]
            size = tf.linalg.global_norm(old)
            ratios.append(tf.linalg.global_norm(changes) / tf.maximum(size, _TINY))
        return ratios
