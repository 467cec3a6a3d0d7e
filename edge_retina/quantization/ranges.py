"""Activation ranges of the deploy graph, measured on calibration images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from edge_retina.errors import DatasetError
from edge_retina.int8.activation_ranges import (
    Histogram,
    Range,
    choose_range,
    logit_floor,
    share_levels,
)
from edge_retina.model.keras import keras, tf
from edge_retina.quantization.fusion import class_logit_layers, quantized_outputs
from edge_retina.runtime.image import load_image, normalize, stretch

_BATCH = 8
_BINS = 2048
# A range of no width has no scale; a channel that is always 0 may have any.
_SMALLEST_WIDTH = 1e-3


def calibration_batches(paths: Sequence[Path], image_hw: tuple[int, int]) -> list[np.ndarray]:
    """Return normalised batches (<=8, H, W, 3) float32, preprocessed as on a device."""
    batches = []
    for first in range(0, len(paths), _BATCH):
        images = [stretch(load_image(path), image_hw) for path in paths[first : first + _BATCH]]
        batches.append(normalize(np.stack(images)))
    return batches


def measure_ranges(
    deploy: keras.Model,
    batches: Sequence[np.ndarray],
    *,
    score_threshold: float,
    method: str = "minmax",
    percentile: float = 99.99,
    shared_levels: bool = False,
) -> dict[str, Range]:
    """Return the range of every quantised output, by layer name.

    The range always holds 0, which int8 must represent exactly. Class logits are cut at
    `logit_floor`.

    Args:
        deploy: from `build_deploy_graph`.
        batches: normalised images (B, H, W, 3); gone through twice unless `method` is "minmax".
        score_threshold: of the exported detector.
        method: "minmax", "percentile" or "mse", see `int8.activation_ranges`.
        percentile: for that method.
        shared_levels: one range for a head layer on all levels.

    Raises:
        DatasetError: there is no batch.
    """
    if not batches:
        raise DatasetError("there are no calibration images; the training split is empty")
    names = quantized_outputs(deploy)
    logits, floor = class_logit_layers(deploy), logit_floor(score_threshold)
    probe = keras.Model(deploy.inputs, [deploy.get_layer(name).output for name in names])
    low, high = _extremes(probe, batches)
    if method == "minmax":
        counts = [np.zeros(0)] * len(names)
    else:
        counts = list(_histograms(probe, batches, low, high))
    ranges = {}
    for name, a, b, count in zip(names, low, high, counts, strict=True):
        histogram = Histogram(float(a), float(b), count)
        is_logit = name in logits
        ranges[name] = choose_range(
            histogram.above(floor) if is_logit and len(count) else histogram,
            method,
            percentile=percentile,
            keep_high=is_logit,
        )
    if shared_levels:
        ranges = share_levels(ranges)
    ranges = {name: (a, max(b, a + _SMALLEST_WIDTH)) for name, (a, b) in ranges.items()}
    return _cut_logits(ranges, logits, floor)


def _extremes(probe: keras.Model, batches: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and the greatest value of every output (outputs,)."""

    @tf.function
    def extremes(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        outputs = probe(images, training=False)
        return (
            tf.stack([tf.reduce_min(x) for x in outputs]),
            tf.stack([tf.reduce_max(x) for x in outputs]),
        )

    lows, highs = zip(*[extremes(tf.constant(images)) for images in batches], strict=True)
    return np.min(lows, axis=0).astype(np.float64), np.max(highs, axis=0).astype(np.float64)


def _histograms(
    probe: keras.Model, batches: Sequence[np.ndarray], low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """Return the histogram of every output (outputs, bins) between its extremes."""
    count = _histogram_function(probe, low, np.maximum(high, low + _SMALLEST_WIDTH))
    counts = [np.asarray(count(tf.constant(images))) for images in batches]
    return np.stack(counts).sum(axis=0, dtype=np.int64)


def _histogram_function(
    probe: keras.Model, low: np.ndarray, high: np.ndarray
) -> Callable[[tf.Tensor], tf.Tensor]:
    @tf.function
    def count(images: tf.Tensor) -> tf.Tensor:
        outputs = probe(images, training=False)
        return tf.stack(
            [
                tf.histogram_fixed_width(x, tf.constant([a, b], tf.float32), nbins=_BINS)
                for x, a, b in zip(outputs, low, high, strict=True)
            ]
        )

    return count


def _cut_logits(ranges: dict[str, Range], logits: set[str], floor: float) -> dict[str, Range]:
    """Raise the low end of class logits to `floor`, with some room above it in every range."""
    return {
        name: (max(low, floor), max(high, floor + 1.0)) if name in logits else (low, high)
        for name, (low, high) in ranges.items()
    }
