"""Activation ranges of the deploy graph, measured on calibration pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from edge_retina.errors import DatasetError
from edge_retina.model.keras import keras, tf
from edge_retina.quantization.quantized_model import (
    class_logit_layers,
    logit_floor,
    quantized_outputs,
)
from edge_retina.runtime.image import load_image, normalize, stretch

_BATCH = 8


def calibration_batches(paths: Sequence[Path], image_hw: tuple[int, int]) -> Iterable[np.ndarray]:
    """Yield normalised batches (<=8, H, W, 3) float32, preprocessed as on a device."""
    for first in range(0, len(paths), _BATCH):
        images = [stretch(load_image(path), image_hw) for path in paths[first : first + _BATCH]]
        yield normalize(np.stack(images))


def measure_ranges(
    deploy: keras.Model, batches: Iterable[np.ndarray], *, score_threshold: float
) -> dict[str, tuple[float, float]]:
    """Return the range of every quantised output, by layer name.

    The range runs from the least to the greatest value over all batches and always holds 0, which
    int8 must represent exactly. Class logits are cut at `logit_floor`.

    Args:
        deploy: from `build_deploy_graph`.
        batches: normalised images (B, H, W, 3).
        score_threshold: of the exported detector.

    Raises:
        DatasetError: there is no batch.
    """
    names = quantized_outputs(deploy)
    probe = keras.Model(deploy.inputs, [deploy.get_layer(name).output for name in names])

    @tf.function
    def extremes(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        outputs = probe(images, training=False)
        return (
            tf.stack([tf.reduce_min(x) for x in outputs]),
            tf.stack([tf.reduce_max(x) for x in outputs]),
        )

    low, high = np.zeros(len(names)), np.zeros(len(names))
    seen = 0
    for images in batches:
        batch_low, batch_high = extremes(tf.constant(images))
        low, high = np.minimum(low, batch_low), np.maximum(high, batch_high)
        seen += 1
    if not seen:
        raise DatasetError("there are no calibration images; the training split is empty")
    # A range of no width has no scale; a channel that is always 0 may have any.
    high = np.where(high - low < 1e-3, low + 1e-3, high)
    ranges = {name: (float(a), float(b)) for name, a, b in zip(names, low, high, strict=True)}
    return _cut_logits(ranges, class_logit_layers(deploy), logit_floor(score_threshold))


def _cut_logits(
    ranges: dict[str, tuple[float, float]], logits: set[str], floor: float
) -> dict[str, tuple[float, float]]:
    """Raise the low end of class logits to `floor`, with some room above it in every range."""
    return {
        name: (max(low, floor), max(high, floor + 1.0)) if name in logits else (low, high)
        for name, (low, high) in ranges.items()
    }
