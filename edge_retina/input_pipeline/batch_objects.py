"""The objects of a batch in one table, without padding, and which anchors they get."""

from __future__ import annotations

from typing import NamedTuple

from edge_retina.boxes.matching import NEGATIVE
from edge_retina.input_pipeline.overlaps import pairwise_iou
from edge_retina.model.keras import tf


class BatchObjects(NamedTuple):
    """Objects of several images. A row of a table costs little, starting an operator costs much.

    Attributes:
        boxes: (G, 4) float32 yxyx in pixels of the network input; G may be 0.
        classes: (G,) int32.
        images: (G,) int32, the number of each object's image in the batch.
        batch_size: B; images may be without objects.
    """

    boxes: tf.Tensor
    classes: tf.Tensor
    images: tf.Tensor
    batch_size: int

    def select(self, chosen: tf.Tensor) -> BatchObjects:
        """Return those objects for which `chosen` (G,) bool is true."""
        rows = tf.where(chosen)[:, 0]  # tf.boolean_mask would be some forty operators a column
        boxes, classes, images = (tf.gather(column, rows) for column in self[:3])
        return BatchObjects(boxes, classes, images, self.batch_size)


class Claims(NamedTuple):
    """Anchors that objects want.

    Attributes:
        objects: (P,) int32, rows of the `BatchObjects`.
        anchors: (P,) int32.
        iou: (P,) of the two.
    """

    objects: tf.Tensor
    anchors: tf.Tensor
    iou: tf.Tensor

    @classmethod
    def where(
        cls,
        wanted: tf.Tensor,
        iou: tf.Tensor,
        *,
        objects: tf.Tensor | None = None,
        anchors: tf.Tensor | None = None,
    ) -> Claims:
        """Return a claim for each true value of `wanted`.

        Args:
            wanted: (G, A) bool.
            iou: (G, A).
            objects: (G,), if the rows are some objects only: which.
            anchors: (G, A), if the columns are other anchors for each object: which.
        """
        pairs = tf.where(wanted)
        rows, columns = tf.unstack(tf.cast(pairs, tf.int32), axis=1)
        return cls(
            rows if objects is None else tf.gather(objects, rows),
            columns if anchors is None else tf.gather_nd(anchors, pairs),
            tf.gather_nd(iou, pairs),
        )


def settle(claims: Claims, objects: BatchObjects, anchor_count: int) -> tf.Tensor:
    """Return who gets which anchor: (B, A) int32, rows of `objects` or NEGATIVE.

    An anchor that several objects of an image want goes to the one with the highest IoU, and among
    equals to the first.
    """
    slots = tf.gather(objects.images, claims.objects) * anchor_count + claims.anchors
    count = objects.batch_size * anchor_count
    best = tf.math.unsorted_segment_max(claims.iou, slots, count)
    # Segments of negative numbers are left out.
    winners = tf.where(claims.iou == tf.gather(best, slots), slots, -1)
    rows = tf.math.unsorted_segment_min(claims.objects, winners, count)
    matched = tf.where(rows < tf.int32.max, rows, NEGATIVE)  # the largest number: no claim
    return tf.reshape(matched, (objects.batch_size, anchor_count))


def force_unmatched(matched: tf.Tensor, objects: BatchObjects, anchors: tf.Tensor) -> tf.Tensor:
    """Return a matching (B, A) in which objects without an anchor have those of their best IoU."""
    flat = tf.reshape(matched, [-1])
    anchors_of = tf.math.unsorted_segment_max(flat, flat, tf.size(objects.classes))
    # An empty segment has the lowest number there is.
    rows = tf.cast(tf.where(anchors_of < 0)[:, 0], tf.int32)
    iou = pairwise_iou(tf.gather(objects.boxes, rows), anchors)
    best = tf.reduce_max(iou, axis=1, keepdims=True)
    return force(matched, Claims.where((iou >= best) & (iou > 0), iou, objects=rows), objects)


def force(matched: tf.Tensor, claims: Claims, objects: BatchObjects) -> tf.Tensor:
    """Return a matching (B, A) in which claims come before what was matched."""
    forced = settle(claims, objects, matched.shape[1])
    return tf.where(forced >= 0, forced, matched)
