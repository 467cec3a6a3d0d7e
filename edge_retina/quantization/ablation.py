"""What each layer's quantisation costs: everything is quantised but this one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_retina.model.deploy import join_levels
from edge_retina.model.keras import keras, tf
from edge_retina.progress import show_progress
from edge_retina.quantization.quantized_model import QuantizedModel
from edge_retina.quantization.wrapping import build_quantized_model


def ablate_layers(
    deploy: keras.Model,
    quantized: QuantizedModel,
    batches: Sequence[np.ndarray],
    *,
    score_threshold: float,
) -> dict[str, float]:
    """Return by layer by how much the detector's error falls when the layer stays in float.

    The error is the root mean square of the difference to the float network over the class scores
    of all (anchor, class) pairs that score above the threshold in the float network, and over
    these anchors' box codes, each relative to the size of the float values.

    Args:
        deploy: the float graph.
        quantized: made of it.
        batches: normalised images (B, H, W, 3).
        score_threshold: of the exported detector.

    Returns:
        The share of the error that goes away, largest first; negative where errors cancelled.
    """
    model = _switchable_copy(deploy, quantized)
    student, teacher = join_levels(model.model), join_levels(deploy)

    @tf.function
    def squares(images: tf.Tensor) -> tf.Tensor:
        logits, codes = student(images, training=False)
        true_logits, true_codes = teacher(images, training=False)
        scores, true_scores = tf.sigmoid(logits), tf.sigmoid(true_logits)
        counted = tf.cast(true_scores > score_threshold, tf.float32)
        boxes = tf.reduce_max(counted, axis=-1, keepdims=True)
        return tf.stack(
            [
                tf.reduce_sum(counted * tf.square(scores - true_scores)),
                tf.reduce_sum(counted * tf.square(true_scores)),
                tf.reduce_sum(boxes * tf.square(codes - true_codes)),
                tf.reduce_sum(boxes * tf.square(true_codes)),
            ]
        )

    def error() -> float:
        score, all_scores, box, all_boxes = np.sum(
            [squares(tf.constant(images)).numpy() for images in batches], axis=0
        )
        return float(np.sqrt(score / max(all_scores, 1e-9)) + np.sqrt(box / max(all_boxes, 1e-9)))

    everything = max(error(), 1e-12)
    gains = {}
    with show_progress("ablation", len(model.switches)) as progress:
        for number, (name, switch) in enumerate(model.switches.items(), 1):
            switch.assign(0.0)
            gains[name] = 1 - error() / everything
            switch.assign(1.0)
            progress(number)
    return dict(sorted(gains.items(), key=lambda item: -item[1]))


def _switchable_copy(deploy: keras.Model, quantized: QuantizedModel) -> QuantizedModel:
    model = build_quantized_model(
        deploy, quantized.recipe, switchable=True, engine=quantized.engine
    )
    model.set_weights(quantized.weights())
    model.set_activation_ranges(quantized.activation_ranges())
    return model
