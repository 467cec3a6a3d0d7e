"""Training targets of one image: what each anchor should find, and how far from it that is."""

from __future__ import annotations

from collections.abc import Callable

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.boxes.matching import NEGATIVE
from edge_retina.choices import ASSIGNERS, load_choice
from edge_retina.config import MatchingConfig
from edge_retina.input_pipeline.overlaps import ignore_inside
from edge_retina.model.box_codec import encode_boxes
from edge_retina.model.keras import tf

Targets = tuple[tf.Tensor, tf.Tensor]


def make_assign_targets(
    grid: AnchorGrid, matching: MatchingConfig
) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], Targets]:
    """Return a function that says for every anchor of one image what it should find.

    Args:
        grid: the anchors.
        matching: names the assigner, which reads the rest.

    Returns:
        `assign_targets(gt_boxes, gt_classes, ignored) -> cls_targets, box_targets`, eager or
        traced, with
        - gt_boxes (G, 4) float32 yxyx in pixels of the network input; G may be 0;
        - gt_classes (G,) int32;
        - ignored (G,) bool, e.g. crowds and objects cut off by the border: not to be found, but
          anchors mostly inside are ignored instead of background;
        - cls_targets (A,) int32: class, NEGATIVE (-1) or IGNORED (-2);
        - box_targets (A, 4) float32: codes of the matched boxes, zeros elsewhere.
    """
    assign = load_choice(ASSIGNERS, matching.assigner)
    anchors = tf.constant(grid.boxes_px())

    def assign_targets(gt_boxes: tf.Tensor, gt_classes: tf.Tensor, ignored: tf.Tensor) -> Targets:
        ignored_boxes = tf.boolean_mask(gt_boxes, ignored)
        gt_boxes = tf.boolean_mask(gt_boxes, ~ignored)
        gt_classes = tf.boolean_mask(gt_classes, ~ignored)

        def without_objects() -> Targets:
            background = tf.fill(tf.shape(anchors)[:1], NEGATIVE)
            return ignore_inside(background, anchors, ignored_boxes), tf.zeros_like(anchors)

        def with_objects() -> Targets:
            matched = assign(
                anchors, gt_boxes, gt_classes, ignored_boxes, grid=grid, settings=matching
            )
            safe = tf.maximum(matched, 0)
            cls_targets = tf.where(matched >= 0, tf.gather(gt_classes, safe), matched)
            codes = encode_boxes(tf.gather(gt_boxes, safe), anchors)
            return cls_targets, tf.where(matched[:, None] >= 0, codes, 0.0)

        return tf.cond(tf.size(gt_classes) > 0, with_objects, without_objects)

    return assign_targets
