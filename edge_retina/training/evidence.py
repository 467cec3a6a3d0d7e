"""Figures of a training step beside its losses: what a diagnosis of the training rests on."""

from __future__ import annotations

from collections.abc import Sequence

from edge_retina.boxes.matching import IGNORED
from edge_retina.layer_names import parse_head_layer
from edge_retina.model.backbone import is_backbone_layer
from edge_retina.model.keras import keras, tf

# Of the scores of positive anchors; a low median with a good ranking points to the focal loss.
_QUANTILES = {"p10": 0.1, "p50": 0.5, "p90": 0.9}
_TINY = 1e-12


def anchor_figures(
    cls_logits: tf.Tensor, cls_targets: tf.Tensor, *, level_anchors: Sequence[int] = ()
) -> dict[str, tf.Tensor]:
    """Return what the anchors of a batch were trained for, and the scores they have.

    Args:
        cls_logits: (B, A, K) float32.
        cls_targets: (B, A) int32: a class, NEGATIVE or IGNORED.
        level_anchors: how many of the A anchors each of the L levels has; () for no figures by
            level.

    Returns:
        `positives`: positive anchors of an image. `ignored`: share of all anchors.
        `positives_by_class` (K,) and `positives_by_level` (L,): as `positives`.
        `positive_score_p10`, `_p50` and `_p90`: quantiles of the score of the right class at
        positive anchors; NaN if there are none.
    """
    images = tf.cast(tf.shape(cls_targets)[0], tf.float32)
    positive = cls_targets >= 0
    where = tf.where(positive)
    classes = tf.gather_nd(cls_targets, where)
    ones = tf.ones_like(classes, tf.float32)
    counts = tf.math.unsorted_segment_sum(ones, classes, cls_logits.shape[-1])
    own = tf.concat([where, tf.cast(classes, where.dtype)[:, None]], axis=1)
    scores = tf.sigmoid(tf.gather_nd(cls_logits, own))
    figures = {
        "positives": tf.reduce_sum(counts) / images,
        "ignored": tf.reduce_mean(tf.cast(cls_targets == IGNORED, tf.float32)),
        "positives_by_class": counts / images,
    }
    if level_anchors:
        levels = tf.split(tf.cast(positive, tf.float32), list(level_anchors), axis=1)
        figures["positives_by_level"] = tf.stack([tf.reduce_sum(x) for x in levels]) / images
    return figures | _quantiles(scores)


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


class UpdateRatios:
    """How far a step moves each part of a network: the norm of the change to that of the values."""

    def __init__(self, parts: dict[str, list[tf.Variable]]) -> None:
        """Take the variables of each part, by its name."""
        self._parts = parts

    def before(self) -> dict[str, list[tf.Tensor]]:
        """Return the values before the step."""
        return {part: [tf.identity(v) for v in values] for part, values in self._parts.items()}

    def after(self, before: dict[str, list[tf.Tensor]]) -> dict[str, tf.Tensor]:
        """Return the ratios, `update_ratio_PART`, after the step."""
        ratios = {}
        for part, variables in self._parts.items():
            pairs = list(zip(variables, before[part], strict=True))
            change = tf.linalg.global_norm([variable - value for variable, value in pairs])
            size = tf.linalg.global_norm(before[part])
            ratios[f"update_ratio_{part}"] = change / tf.maximum(size, _TINY)
        return ratios
