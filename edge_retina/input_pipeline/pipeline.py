"""The tf.data pipeline: draw (decode, augment) -> targets -> batch -> prefetch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_retina.config import Config
from edge_retina.datasets.schema import Example
from edge_retina.errors import TrainingError
from edge_retina.input_pipeline.sample_source import SampleSource
from edge_retina.input_pipeline.targets import assign_targets
from edge_retina.model.keras import tf

_PREFETCHED_BATCHES = 4


def training_batches(
    examples: Sequence[Example], config: Config, anchors_px: np.ndarray, *, first_step: int = 0
) -> tf.data.Dataset:
    """Return an endless dataset of training batches.

    Args:
        examples: the training split; images without objects are used like all others.
        config: `data`, `model`, `augmentation`, `matching`, `train` and `seed` are read.
        anchors_px: (A, 4) float32 yxyx in pixels of the network input.
        first_step: where an interrupted training goes on; batches are those it would have seen.

    Yields:
        images (B, H, W, 3) uint8, cls_targets (B, A) int32, box_targets (B, A, 4) float32.

    Raises:
        TrainingError: there are no examples.
    """
    if not examples:
        raise TrainingError("the training split has no images; check data.train_split")
    image_hw = config.model.image_hw
    source = SampleSource(
        examples,
        image_hw=image_hw,
        settings=config.augmentation,
        seed=config.seed,
        cache_mb=config.data.cache_mb,
    )
    anchors = tf.constant(anchors_px)

    def draw_sample(number: np.ndarray) -> tuple[np.ndarray, ...]:
        sample = source.draw(int(number))
        return sample.image_rgb, sample.boxes_px, sample.classes, sample.ignored

    def draw(number: tf.Tensor) -> tuple[tf.Tensor, ...]:
        image, boxes, classes, ignored = tf.numpy_function(
            draw_sample, [number], (tf.uint8, tf.float32, tf.int32, tf.bool)
        )
        image.set_shape((*image_hw, 3))
        boxes.set_shape((None, 4))
        classes.set_shape((None,))
        ignored.set_shape((None,))
        targets = assign_targets(anchors, boxes, classes, ignored, matching=config.matching)
        return image, *targets

    batch_size = config.train.batch_size
    return (
        tf.data.Dataset.counter(start=first_step * batch_size)
        .map(draw, num_parallel_calls=tf.data.AUTOTUNE)
        .batch(batch_size, drop_remainder=True)
        .prefetch(_PREFETCHED_BATCHES)
    )
