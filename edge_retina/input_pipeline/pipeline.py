"""The tf.data pipeline: draw a batch (decode, augment) -> targets -> prefetch.

A batch is drawn by one call, and its targets are computed at once: starting each of a hundred
operators for every image took longer than what they compute.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.config import AugmentationConfig, DataConfig, MatchingConfig
from edge_retina.datasets.schema import Example
from edge_retina.errors import TrainingError
from edge_retina.input_pipeline.batch_objects import BatchObjects
from edge_retina.input_pipeline.sample_source import SampleSource
from edge_retina.input_pipeline.targets import make_assign_targets
from edge_retina.model.keras import tf

_PREFETCHED_BATCHES = 4


@dataclass(frozen=True)
class BatchPart:
    """The part of every batch that one of several processes draws.

    Attributes:
        first: the first image of it, counted from 0 in the batch.
        images: how many.
    """

    first: int
    images: int


def training_batches(
    examples: Sequence[Example],
    *,
    grid: AnchorGrid,
    data: DataConfig,
    augmentation: AugmentationConfig,
    matching: MatchingConfig,
    batch_size: int,
    seed: int,
    first_step: int = 0,
    plain_from: int | None = None,
    teacher_hw: tuple[int, int] | None = None,
    part: BatchPart | None = None,
) -> tf.data.Dataset:
    """Return an endless dataset of training batches.

    Args:
        examples: the training split; images without objects are used like all others.
        grid: the anchors, whose input size is that of the images.
        data: `cache_mb` and `repeat_threshold` are read.
        augmentation: ranges and probabilities.
        matching: which anchors are trained to find which objects.
        batch_size: B.
        seed: of the order of images and their augmentation.
        first_step: where a resumed training goes on; it gets the batches it would have got.
        plain_from: the first step with plain pictures (see `plain_settings`); None for none.
        teacher_hw: input size of a teacher that is to see the same images; None for no teacher, or
            one of the same input size.
        part: of each batch, for a training on several devices; None for all of it.

    Yields:
        images (B, H, W, 3) uint8, cls_targets (B, A) int32, box_targets (B, A, 4) float32 and, with
        `teacher_hw`, teacher_images (B, h, w, 3) uint8. With a `part`, B is its size.

    Raises:
        TrainingError: there are no examples.
    """
    if not examples:
        raise TrainingError("the training split has no images; check data.train_split")
    source = SampleSource(
        examples,
        image_hw=grid.image_hw,
        settings=augmentation,
        seed=seed,
        cache_mb=data.cache_mb,
        repeat_threshold=data.repeat_threshold,
        plain_from=None if plain_from is None else plain_from * batch_size,
    )
    assign_targets = make_assign_targets(grid, matching)

    part = part or BatchPart(0, batch_size)
    views_hw = [] if teacher_hw is None else [teacher_hw]

    def draw_part(batch: np.ndarray) -> tuple[np.ndarray, ...]:
        first = int(batch) * batch_size + part.first
        drawn = [source.draw_with_views(first + i, views_hw) for i in range(part.images)]
        samples, views = zip(*drawn, strict=True)
        counts = [len(sample.classes) for sample in samples]
        return (
            np.stack([sample.image_rgb for sample in samples]),
            np.concatenate([sample.boxes_px for sample in samples]),
            np.concatenate([sample.classes for sample in samples]),
            np.repeat(np.arange(part.images, dtype=np.int32), counts),
            np.concatenate([sample.ignored for sample in samples]),
            *(np.stack(view) for view in zip(*views, strict=True)),
        )

    def draw(batch: tf.Tensor) -> tuple[tf.Tensor, ...]:
        types = (tf.uint8, tf.float32, tf.int32, tf.int32, tf.bool, *(tf.uint8 for _ in views_hw))
        pictures, boxes, classes, images, ignored, *views = tf.numpy_function(
            draw_part, [batch], types
        )
        for picture, image_hw in zip((pictures, *views), (grid.image_hw, *views_hw), strict=True):
            picture.set_shape((part.images, *image_hw, 3))
        boxes.set_shape((None, 4))
        for column in (classes, images, ignored):
            column.set_shape((None,))
        objects = BatchObjects(boxes, classes, images, part.images)
        return pictures, *assign_targets(objects, ignored), *views

    return (
        tf.data.Dataset.counter(start=first_step)
        .map(draw, num_parallel_calls=tf.data.AUTOTUNE)
        .prefetch(_PREFETCHED_BATCHES)
    )
