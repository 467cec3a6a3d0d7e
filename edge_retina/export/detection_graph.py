"""Decoding and class-aware NMS as a TensorFlow graph of TFLite built-in operations.

The stock composite `TFLite_Detection_PostProcess` drops a class when its regular NMS runs on two or
more threads, and its fast NMS is class-agnostic. Built-ins give the same detections for every
number of threads: TOPK_V2 over all (anchor, class) logits, gather, decode, NON_MAX_SUPPRESSION_V4
over boxes shifted apart by class. The sigmoid is monotonic, so it comes last, on the rows that are
left. `boxes.nms.detect` is the numpy reference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.boxes.codec import CODE_SCALES
from edge_retina.boxes.nms import SMALLEST_SIDE
from edge_retina.boxes.score_threshold import least_logit
from edge_retina.config import ExportConfig
from edge_retina.model.box_codec import decode_unscaled
from edge_retina.model.keras import keras, tf
from edge_retina.runtime.tensor_contract import DETECTIONS

# What choosing the anchors before the pairs costs, in values that top-k could look at in that time:
# the maximum of an anchor's classes and a look at it, and two more sorts. Measured on x86 with
# `edge-retina inspect --profile`: top-k looks at a value in 3 ns, the maximum of 80 takes 18 ns.
_COST_PER_ANCHOR, _COST_OF_SORTING = 7, 100_000


def detection_function(
    model: keras.Model, *, anchors: AnchorGrid, export: ExportConfig
) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """Return a function from an image to detections, ready to be converted.

    Args:
        model: a deploy graph, float or fake-quantised: outputs by level, class logits then box
            codes.
        anchors: of the model.
        export: thresholds and sizes.

    Returns:
        A tf.function of `image` (1, H, W, 3) normalised float32, that returns the outputs of
        `tensor_contract.DETECTIONS` by name; unused rows are 0.
    """
    anchors_norm = anchors.boxes_norm()

    @tf.function(
        input_signature=[tf.TensorSpec((1, *anchors.image_hw, 3), tf.float32, name="image")]
    )
    def detect(image: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs = model(image, training=False)
        half = len(outputs) // 2
        return postprocess(outputs[:half], outputs[half:], anchors_norm=anchors_norm, export=export)

    return detect


def postprocess(
    cls_levels: Sequence[tf.Tensor],
    box_levels: Sequence[tf.Tensor],
    *,
    anchors_norm: np.ndarray,
    export: ExportConfig,
) -> dict[str, tf.Tensor]:
    """Turn head outputs by level, (1, A_l, K) logits and (1, A_l, 4) codes, into detections."""
    num_classes = cls_levels[0].shape[-1]
    # Concatenation, top-k and gather keep the range of their input, so the converter would carry
    # them out in int8, forcing one range on all levels. Arithmetic has no such rule and stays
    # float: each level is dequantised with its own range by the division and the subtraction here.
    parts = tf.constant(np.array(CODE_SCALES, np.float32))
    codes = tf.concat([tf.reshape(level, [-1, 4]) / parts for level in box_levels], axis=0)
    # Top-k keeps a heap: each value above the worst one in it costs a walk through it, one that is
    # equal and comes later costs a comparison. So all values below the threshold are made equal.
    # Above the float32 before the threshold's logit lies what reaches the threshold, nothing else.
    lowest = float(np.nextafter(least_logit(export.score_threshold), np.float32(-np.inf)))
    margin = tf.concat(
        [tf.nn.relu(tf.reshape(x, [-1, num_classes]) - lowest) for x in cls_levels], axis=0
    )
    margins, anchor, label = _best_pairs(margin, export.candidates)
    boxes = _decode(tf.gather(codes, anchor), anchors_norm, anchor)
    apart = boxes if export.class_agnostic else boxes + 2.0 * tf.reshape(label, [-1, 1])
    # The kernel crosses out a kept box by its IoU with itself, which is 0 for a box without area:
    # it would be kept again and again, in all rows that are left.
    real = tf.reduce_min(apart[:, 2:] - apart[:, :2], axis=1) > SMALLEST_SIDE
    # Suppression only compares, so it is given ranks; scores are for the rows that are left. Of
    # equal scores, which int8 heads have many of, the kernel takes any first: its heap's order is
    # another in MediaPipe 1.2.2 and browsers than in LiteRT's Python package. Top-k's is not.
    ranks = tf.constant(np.arange(margins.shape[0], 0, -1).astype(np.float32))
    kept, count = tf.raw_ops.NonMaxSuppressionV4(
        boxes=apart,
        scores=tf.where(tf.logical_and(real, margins > 0.0), ranks, 0.0),
        max_output_size=export.max_detections,
        iou_threshold=export.nms_iou,
        score_threshold=0.0,  # the kernel keeps what is strictly above
        pad_to_max_output_size=True,
    )
    used = tf.cast(tf.range(export.max_detections) < count, tf.float32)
    scores = tf.sigmoid(tf.gather(margins, kept) + lowest)
    rows = export.max_detections
    outputs = (
        tf.reshape(tf.gather(boxes, kept) * tf.reshape(used, [rows, 1]), [1, rows, 4]),
        tf.reshape(tf.gather(label, kept) * used, [1, rows]),
        tf.reshape(scores * used, [1, rows]),
        tf.cast(tf.reshape(count, [1]), tf.float32),
    )
    return dict(zip(DETECTIONS.names, outputs, strict=True))


def _best_pairs(margin: tf.Tensor, candidates: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return value, anchor and label, (N,) each, of the best pairs of `margin` (A, K), best first.

    Of equal ones the lower anchor comes first, then the lower class.
    """
    anchors, num_classes = margin.shape
    first = None
    saved = (anchors - candidates) * num_classes
    if saved > anchors * _COST_PER_ANCHOR + _COST_OF_SORTING:
        # A pair among the best N belongs to an anchor whose best class is among the best N: else N
        # anchors would have a better pair each. Sorted, so that equal pairs keep their order.
        best = tf.math.top_k(tf.reduce_max(margin, axis=1), candidates)[1]
        first = -tf.math.top_k(-best, candidates)[0]
        margin = tf.gather(margin, first)
    flat = tf.reshape(margin, [-1])
    margins, index = tf.math.top_k(flat, min(candidates, flat.shape[0]))
    row = index // num_classes
    label = tf.cast(index - row * num_classes, tf.float32)
    return margins, row if first is None else tf.gather(first, row), label


def _decode(codes: tf.Tensor, anchors_norm: np.ndarray, chosen: tf.Tensor) -> tf.Tensor:
    """Return clipped boxes (N, 4) for unscaled codes (N, 4) of the `chosen` (N,) anchors."""
    # Of constants, so that the graph has only the gathers.
    centres = (anchors_norm[:, 2:] + anchors_norm[:, :2]) / 2
    sizes = anchors_norm[:, 2:] - anchors_norm[:, :2]
    boxes = decode_unscaled(
        codes,
        centres=tf.gather(tf.constant(centres), chosen),
        sizes=tf.gather(tf.constant(sizes), chosen),
    )
    return tf.clip_by_value(boxes, 0.0, 1.0)
