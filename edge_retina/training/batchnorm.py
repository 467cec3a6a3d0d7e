"""BatchNorm statistics at the start of a training, at its end, and without training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from edge_retina.model.backbone import is_backbone_layer
from edge_retina.model.keras import keras, tf
from edge_retina.runtime.image import load_image, normalize, stretch


def settle_statistics(model: keras.Model, pictures: Sequence[Path]) -> None:
    """Start the moving statistics of fresh BatchNorms at those of some pictures.

    Keras starts them at mean 0 and variance 1, but activations of a fresh network vary by far less
    than 1. With a momentum of 0.99 a rest of that 1 stays for a thousand steps, in layer after
    layer: on 8 pictures and 250 steps the losses went to 0, and mAP50 on the same pictures was 0.0
    with the statistics of Keras and 1.0 with these (tests/e2e/test_overfitting.py).

    Args:
        model: changed in place; layers with statistics of their own, of a pretrained backbone,
            keep them but for one step of their momentum.
        pictures: files; about a batch of them.
    """
    height, width = model.input_shape[1:3]
    images = [normalize(stretch(load_image(path), (height, width))) for path in pictures]
    with momentum_of([norm for norm in batchnorms(model) if _is_fresh(norm)], 0.0):
        model(np.stack(images), training=True)


def reestimate_statistics(model: keras.Model, batches: Iterable[np.ndarray]) -> None:
    """Give averaged weights the BatchNorm statistics of their own activations.

    The average of the statistics of a training is that of many networks, whose weights moved from
    step to step; the activations of the averaged weights have others. They become the means of the
    statistics of all batches, each of which counts alike.

    Args:
        model: changed in place; frozen BatchNorms (not trainable) keep their statistics.
        batches: images (B, H, W, 3) uint8; at least one batch.

    Source: Izmailov et al. 2018, Averaging Weights Leads to Wider Optima and Better Generalization,
        section 3.1 (`bn_update` of their code).
    """
    norms = [norm for norm in batchnorms(model) if norm.trainable]
    statistics = [value for norm in norms for value in (norm.moving_mean, norm.moving_variance)]
    sums, count = [np.zeros(value.shape, np.float64) for value in statistics], 0

    @tf.function
    def run(images: tf.Tensor) -> None:
        model(images, training=True)

    with momentum_of(norms, 0.0):
        for images in batches:
            run(tf.constant(normalize(images)))
            sums = [total + value.numpy() for total, value in zip(sums, statistics, strict=True)]
            count += 1
    for value, total in zip(statistics, sums, strict=True):
        value.assign(total / count)


def freeze_batchnorms(model: keras.Model, backbone: str) -> None:
    """Make the BatchNorms of the backbone use their statistics in training too and never change.

    Args:
        model: changed in place, before its optimizer is built.
        backbone: a key of `BACKBONES`.
    """
    for norm in batchnorms(model):
        if is_backbone_layer(norm.name, backbone):
            norm.trainable = False


def batchnorms(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """Return the BatchNorm layers of a model."""
    return [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]


@contextmanager
def momentum_of(
    norms: Sequence[keras.layers.BatchNormalization], momentum: float
) -> Iterator[None]:
    """Give some BatchNorms another momentum for a while.

    With 0 their statistics are those of the last batch in training; with 1 they never change. A
    compiled function keeps the momentum that it was traced with.
    """
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = momentum
    try:
        yield
    finally:
        for norm, own in zip(norms, before, strict=True):
            norm.momentum = own


def _is_fresh(norm: keras.layers.BatchNormalization) -> bool:
    mean, variance = norm.moving_mean.numpy(), norm.moving_variance.numpy()
    return bool((mean == 0).all() and (variance == 1).all())
