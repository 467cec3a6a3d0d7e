"""The tf.data pipeline: decode (cached) -> shuffle -> augment -> targets -> batch."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from edge_retina.config import Config
from edge_retina.datasets.schema import Example
from edge_retina.errors import TrainingError
from edge_retina.input_pipeline.augment import augment
from edge_retina.input_pipeline.targets import assign_targets
from edge_retina.model.keras import tf
from edge_retina.runtime.image import load_image

log = logging.getLogger(__name__)


def training_batches(
    examples: Sequence[Example], config: Config, anchors_px: np.ndarray, *, first_step: int = 0
) -> tf.data.Dataset:
    """Return an endless dataset of training batches.

    Args:
        examples: the training split; images without objects are used like all others.
        config: `data`, `model`, `augmentation`, `matching`, `train` and `seed` are read.
        anchors_px: (A, 4) float32 yxyx in pixels of the network input.
        first_step: where an interrupted training goes on; chance is drawn as if it had not stopped.

    Yields:
        images (B, H, W, 3) uint8, cls_targets (B, A) int32, box_targets (B, A, 4) float32.

    Chance is numbered: the n-th picture drawn gets the n-th random generator of the seed, however many
    threads there are. The order of pictures is drawn anew after an interruption.
    """
    if not examples:
        raise TrainingError("the training split has no images; check data.train_split")
    batch_size = config.train.batch_size
    image_hw = (config.model.image_size, config.model.image_size)
    anchors = tf.constant(anchors_px)

    pictures = tf.data.Dataset.range(len(examples)).map(
        lambda index: (index, _load(index, examples)), num_parallel_calls=tf.data.AUTOTUNE
    )
    if _fits(examples, config.data.cache_mb):
        pictures = pictures.cache().shuffle(len(examples), seed=config.seed + first_step).repeat()
    else:
        # Shuffling the indices, not the pictures, keeps the memory small.
        order = tf.data.Dataset.range(len(examples)).shuffle(
            len(examples), seed=config.seed + first_step
        )
        pictures = order.repeat().map(
            lambda index: (index, _load(index, examples)), num_parallel_calls=tf.data.AUTOTUNE
        )

    def change(draw: tf.Tensor, picture: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, ...]:
        index, image = picture
        return _augment(draw, index, image, examples=examples, config=config, image_hw=image_hw)

    def to_targets(
        image: tf.Tensor, boxes: tf.Tensor, classes: tf.Tensor, crowd: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        return image, *assign_targets(anchors, boxes, classes, crowd, matching=config.matching)

    draws = tf.data.Dataset.counter(start=first_step * batch_size)
    return (
        tf.data.Dataset.zip((draws, pictures))
        .map(change, num_parallel_calls=tf.data.AUTOTUNE)
        .map(to_targets, num_parallel_calls=tf.data.AUTOTUNE)
        .batch(batch_size, drop_remainder=True)
        .prefetch(4)
    )


def _fits(examples: Sequence[Example], cache_mb: int) -> bool:
    needed_mb = sum(3 * e.image_hw[0] * e.image_hw[1] for e in examples) / 2**20
    if needed_mb > cache_mb:
        log.info(
            "decoded training images need %.0f MB, data.cache_mb allows %d: decoding every epoch",
            needed_mb,
            cache_mb,
        )
    return needed_mb <= cache_mb


def _load(index: tf.Tensor, examples: Sequence[Example]) -> tf.Tensor:
    image = tf.numpy_function(lambda i: load_image(examples[i].path), [index], tf.uint8)
    image.set_shape((None, None, 3))
    return image


def _augment(
    draw: tf.Tensor,
    index: tf.Tensor,
    image: tf.Tensor,
    *,
    examples: Sequence[Example],
    config: Config,
    image_hw: tuple[int, int],
) -> tuple[tf.Tensor, ...]:
    def in_numpy(draw: int, index: int, image_rgb: np.ndarray) -> tuple[np.ndarray, ...]:
        example = examples[index]
        rng = np.random.default_rng([config.seed, int(draw)])
        image_rgb, boxes, keep = augment(
            image_rgb, example.boxes_px, image_hw=image_hw, settings=config.augmentation, rng=rng
        )
        return image_rgb, boxes[keep], example.classes[keep], example.crowd[keep]

    image, boxes, classes, crowd = tf.numpy_function(
        in_numpy, [draw, index, image], (tf.uint8, tf.float32, tf.int32, tf.bool)
    )
    image.set_shape((*image_hw, 3))
    boxes.set_shape((None, 4))
    classes.set_shape((None,))
    crowd.set_shape((None,))
    return image, boxes, classes, crowd
