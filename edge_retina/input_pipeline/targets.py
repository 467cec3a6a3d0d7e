"""Training targets of a batch: what each anchor should find, and how far from it that is."""

from __future__ import annotations

from collections.abc import Callable

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.boxes.matching import IGNORED, INSIDE_SHARE, NEGATIVE
from edge_retina.choices import ASSIGNERS, load_choice
from edge_retina.config import MatchingConfig
from edge_retina.input_pipeline.batch_objects import BatchObjects
from edge_retina.input_pipeline.overlaps import area_of, intersection_of
from edge_retina.model.box_codec import encode_boxes
from edge_retina.model.keras import tf

Targets = tuple[tf.Tensor, tf.Tensor]


def make_assign_targets(
    grid: AnchorGrid, matching: MatchingConfig
) -> Callable[[BatchObjects, tf.Tensor], Targets]:
    """Return a function that says for every anchor of every image what it should find.

    Args:
        grid: the anchors.
        matching: names the assigner, which reads the rest.

    Returns:
        `assign_targets(objects, ignored) -> cls_targets, box_targets`, eager or traced, with
        - ignored (G,) bool, e.g. crowds and objects cut off by the border: not to be found, but
          anchors mostly inside are ignored instead of background;
        - cls_targets (B, A) int32: class, NEGATIVE (-1) or IGNORED (-2);
        - box_targets (B, A, 4) float32: codes of the matched boxes, zeros elsewhere.
    """
    assign = load_choice(ASSIGNERS, matching.assigner)
    anchors = tf.constant(grid.boxes_px())

    def assign_targets(objects: BatchObjects, ignored: tf.Tensor) -> Targets:
        found, hidden = objects.select(~ignored), objects.select(ignored)
        matched = assign(anchors, found, grid=grid, settings=matching)
        positive = tf.where(matched >= 0)  # few: only their targets are computed
        rows = tf.gather_nd(matched, positive)
        codes = encode_boxes(tf.gather(found.boxes, rows), tf.gather(anchors, positive[:, 1]))
        background = tf.where(_is_inside(anchors, hidden), IGNORED, NEGATIVE)
        cls_targets = tf.where(matched == NEGATIVE, background, matched)
        return (
            tf.tensor_scatter_nd_update(cls_targets, positive, tf.gather(found.classes, rows)),
            tf.scatter_nd(positive, codes, tf.cast((*matched.shape, 4), tf.int64)),
        )

    return assign_targets


def _is_inside(anchors: tf.Tensor, objects: BatchObjects) -> tf.Tensor:
    """Return which anchors (B, A) lie mostly inside one of the objects of their image."""
    share = intersection_of(objects.boxes[:, None], anchors[None]) / area_of(anchors)
    inside = tf.cast(share > INSIDE_SHARE, tf.int32)
    return tf.math.unsorted_segment_max(inside, objects.images, objects.batch_size) > 0
