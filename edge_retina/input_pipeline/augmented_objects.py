"""The objects of training images as a training will see them, drawn without any pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_retina.config import AugmentationConfig
from edge_retina.datasets.schema import Example
from edge_retina.input_pipeline.geometry import PlacedObjects
from edge_retina.input_pipeline.sample_source import SampleSource


def augmented_objects(
    examples: Sequence[Example],
    *,
    image_hw: tuple[int, int],
    settings: AugmentationConfig,
    seed: int,
    draws: int,
) -> PlacedObjects:
    """Return the objects of the first `draws` training images, one image after the other.

    Args:
        examples: the training split.
        image_hw: height and width of the network's input.
        settings: ranges and probabilities.
        seed: that of the training, for the very images that it will see.
        draws: images; every image once comes before any twice.

    Returns:
        No objects if there are no examples.
    """
    source = SampleSource(examples, image_hw=image_hw, settings=settings, seed=seed)
    drawn = [source.place(number) for number in range(draws if examples else 0)]
    return PlacedObjects(
        boxes_px=np.concatenate([np.zeros((0, 4), np.float32), *(o.boxes_px for o in drawn)]),
        classes=np.concatenate([np.zeros(0, np.int32), *(o.classes for o in drawn)]),
        ignored=np.concatenate([np.zeros(0, bool), *(o.ignored for o in drawn)]),
        too_little=np.concatenate([np.zeros(0, bool), *(o.too_little for o in drawn)]),
        visible=np.concatenate([np.zeros(0), *(o.visible for o in drawn)]),
        growth=np.concatenate([np.zeros(0), *(o.growth for o in drawn)]),
    )


def augmented_boxes(
    examples: Sequence[Example],
    *,
    image_hw: tuple[int, int],
    settings: AugmentationConfig,
    seed: int,
    draws: int,
) -> np.ndarray:
    """Return the boxes of these objects without ignored ones, (N, 4) float32 yxyx.

    They are in pixels of `image_hw` and cut at the border. Arguments are those of
    `augmented_objects`.
    """
    objects = augmented_objects(
        examples, image_hw=image_hw, settings=settings, seed=seed, draws=draws
    )
    return objects.boxes_px[~objects.ignored]
