"""Decoding and NMS alone as .tflite files, in every design that was considered for the detector.

Each takes `logits` (A, K) and `codes` (A, 4) float32 and has the outputs of an exported file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edge_retina.boxes.codec import CODE_SCALES, MAX_LOG_SIZE
from edge_retina.boxes.nms import SMALLEST_SIDE
from edge_retina.config import ExportConfig
from edge_retina.export.convert import convert
from edge_retina.export.detection_graph import postprocess
from edge_retina.model.keras import tf

Graph = Callable[[tf.Tensor, tf.Tensor, np.ndarray, ExportConfig], dict[str, tf.Tensor]]


@dataclass(frozen=True)
class Design:
    """One way to get from head outputs to detections.

    Attributes:
        name: for people.
        graph: from logits (A, K), codes (A, 4), anchors (A, 4) as fractions, and the settings.
        candidates: replaces that of the settings; None keeps it.
    """

    name: str
    graph: Graph
    candidates: int | None = None

    def tflite_file(
        self, anchors_norm: np.ndarray, num_classes: int, export: ExportConfig
    ) -> bytes:
        """Return the .tflite file."""
        settings = (
            export if self.candidates is None else replace(export, candidates=self.candidates)
        )
        signature = [
            tf.TensorSpec((len(anchors_norm), width), tf.float32, name=name)
            for name, width in (("logits", num_classes), ("codes", 4))
        ]

        @tf.function(input_signature=signature)
        def function(logits: tf.Tensor, codes: tf.Tensor) -> dict[str, tf.Tensor]:
            return self.graph(logits, codes, anchors_norm, settings)

        return convert(function, int8=False)


def _shipped(
    logits: tf.Tensor, codes: tf.Tensor, anchors_norm: np.ndarray, export: ExportConfig
) -> dict[str, tf.Tensor]:
    """Do what `edge-retina export` writes, whatever that is."""
    return postprocess([logits[None]], [codes[None]], anchors_norm=anchors_norm, export=export)


def _over_pairs(
    logits: tf.Tensor, codes: tf.Tensor, anchors_norm: np.ndarray, export: ExportConfig
) -> dict[str, tf.Tensor]:
    """Top-k over all (anchor, class) pairs."""
    num_classes = logits.shape[1]
    flat = tf.reshape(logits, [-1])
    best, index = tf.math.top_k(flat, min(export.candidates, flat.shape[0]))
    anchor = index // num_classes
    label = tf.cast(index - anchor * num_classes, tf.float32)
    return _suppressed(best, label, anchor, codes, anchors_norm, export)


def _over_anchors_then_pairs(
    logits: tf.Tensor, codes: tf.Tensor, anchors_norm: np.ndarray, export: ExportConfig
) -> dict[str, tf.Tensor]:
    """Top-k over the anchors by their best class, then over the pairs of these: the same pairs.

    A pair among the best k of all belongs to an anchor among the best k: else k anchors would have
    a better pair each. Equal scores change nothing if the anchors keep their order, which is why
    they are sorted; TOPK_V2 takes the lower index first.
    """
    num_classes = logits.shape[1]
    chosen = min(export.candidates, len(anchors_norm))
    anchor = -tf.math.top_k(-tf.math.top_k(tf.reduce_max(logits, axis=1), chosen)[1], chosen)[0]
    flat = tf.reshape(tf.gather(logits, anchor), [-1])
    best, index = tf.math.top_k(flat, min(export.candidates, chosen * num_classes))
    row = index // num_classes
    label = tf.cast(index - row * num_classes, tf.float32)
    return _suppressed(best, label, tf.gather(anchor, row), codes, anchors_norm, export)


def _over_anchors(
    logits: tf.Tensor, codes: tf.Tensor, anchors_norm: np.ndarray, export: ExportConfig
) -> dict[str, tf.Tensor]:
    """Top-k over the anchors by their best class, which is the only one that an anchor keeps."""
    chosen = min(export.candidates, len(anchors_norm))
    best, anchor = tf.math.top_k(tf.reduce_max(logits, axis=1), chosen)
    label = tf.cast(tf.argmax(tf.gather(logits, anchor), axis=1, output_type=tf.int32), tf.float32)
    return _suppressed(best, label, anchor, codes, anchors_norm, export)


def _suppressed(
    logits: tf.Tensor,
    label: tf.Tensor,
    anchor: tf.Tensor,
    codes: tf.Tensor,
    anchors_norm: np.ndarray,
    export: ExportConfig,
) -> dict[str, tf.Tensor]:
    """Decode the candidates, given by logit (N,), label (N,) and anchor (N,), and suppress."""
    boxes = _decode(tf.gather(codes, anchor), tf.gather(tf.constant(anchors_norm), anchor))
    apart = boxes + 2.0 * tf.reshape(label, [-1, 1])
    real = tf.reduce_min(boxes[:, 2:] - boxes[:, :2], axis=1) > SMALLEST_SIDE
    scores = tf.sigmoid(logits)
    rows = export.max_detections
    kept, count = tf.raw_ops.NonMaxSuppressionV4(
        boxes=apart,
        scores=tf.where(real, scores, 0.0),
        max_output_size=rows,
        iou_threshold=export.nms_iou,
        score_threshold=export.score_threshold,
        pad_to_max_output_size=True,
    )
    used = tf.cast(tf.range(rows) < count, tf.float32)
    return {
        "boxes": (tf.gather(boxes, kept) * tf.reshape(used, [rows, 1]))[None],
        "classes": (tf.gather(label, kept) * used)[None],
        "scores": (tf.gather(scores, kept) * used)[None],
        "count": tf.cast(tf.reshape(count, [1]), tf.float32),
    }


def _decode(codes: tf.Tensor, anchors: tf.Tensor) -> tf.Tensor:
    """Return clipped boxes (N, 4) for `codes` (N, 4) relative to `anchors` (N, 4)."""
    shift, growth = tf.split(codes / tf.constant(CODE_SCALES, tf.float32), 2, axis=1)
    low, high = tf.split(anchors, 2, axis=1)
    centre = shift * (high - low) + (low + high) * 0.5
    half = tf.exp(tf.minimum(growth, MAX_LOG_SIZE)) * (high - low) * 0.5
    return tf.clip_by_value(tf.concat([centre - half, centre + half], axis=1), 0.0, 1.0)


def _stock(*, regular: bool) -> Graph:
    """Return the graph with TFLite's own composite operator."""

    def graph(
        logits: tf.Tensor, codes: tf.Tensor, anchors_norm: np.ndarray, export: ExportConfig
    ) -> dict[str, tf.Tensor]:
        low, high = anchors_norm[:, :2], anchors_norm[:, 2:]
        anchors = np.concatenate([(low + high) / 2, high - low], axis=1)
        operator = _composite(logits.shape[1], export, regular=regular)
        boxes, classes, scores, count = operator(
            codes[None], tf.sigmoid(logits)[None], tf.constant(anchors)
        )
        return {
            "boxes": tf.clip_by_value(boxes, 0.0, 1.0),  # the operator doesn't
            "classes": classes,
            "scores": scores,
            "count": count,
        }

    return graph


def _composite(num_classes: int, export: ExportConfig, *, regular: bool) -> Any:
    """Return a function that the converter replaces by TFLite_Detection_PostProcess."""
    rows = export.max_detections
    y_scale, x_scale, h_scale, w_scale = CODE_SCALES
    attributes = {
        "max_detections": f"i: {rows}",
        "max_classes_per_detection": "i: 1",
        "use_regular_nms": f"b: {str(regular).lower()}",
        "nms_score_threshold": f"f: {export.score_threshold}",
        "nms_iou_threshold": f"f: {export.nms_iou}",
        "y_scale": f"f: {y_scale}",
        "x_scale": f"f: {x_scale}",
        "h_scale": f"f: {h_scale}",
        "w_scale": f"f: {w_scale}",
        "num_classes": f"i: {num_classes}",
    }
    written = " ".join(
        f'attr {{ key: "{key}" value {{ {value} }} }}' for key, value in attributes.items()
    )

    @tf.function(experimental_implements=f'name: "TFLite_Detection_PostProcess" {written}')
    def composite(codes: tf.Tensor, scores: tf.Tensor, anchors: tf.Tensor) -> tuple[Any, ...]:
        # Only the shapes are looked at. It has to depend on all arguments, or they are dropped.
        zero = 0.0 * (tf.reduce_sum(codes) + tf.reduce_sum(scores) + tf.reduce_sum(anchors))
        return (
            tf.zeros([1, rows, 4]) + zero,
            tf.zeros([1, rows]) + zero,
            tf.zeros([1, rows]) + zero,
            tf.zeros([1]) + zero,
        )

    return composite


def _limited(name: str, graph: Graph, candidates: int) -> Design:
    return Design(f"{name}, {candidates:,} candidates", graph, candidates)


_PAIRS, _TWO_STEPS = "top-k over (anchor, class) pairs", "top-k over anchors, then their pairs"
SHIPPED = _limited("**shipped**", _shipped, ExportConfig().candidates)
DESIGNS = (
    SHIPPED,
    *(_limited(_PAIRS, _over_pairs, candidates) for candidates in (200, 500, 1000, 2000)),
    *(_limited(_TWO_STEPS, _over_anchors_then_pairs, candidates) for candidates in (1000, 2000)),
    _limited("top-k over anchors, only the best class of each", _over_anchors, 1000),
    Design("TFLite_Detection_PostProcess, regular", _stock(regular=True)),
    Design("TFLite_Detection_PostProcess, fast", _stock(regular=False)),
)
