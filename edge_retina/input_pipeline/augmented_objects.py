"""The objects of training images as a training will see them, drawn without any pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_retina.config import AugmentationConfig
from edge_retina.datasets.schema import Example
from edge_retina.input_pipeline.sample_source import SampleSource


def augmented_boxes(
    examples: Sequence[Example],
    *,
    image_hw: tuple[int, int],
    settings: AugmentationConfig,
    seed: int,
    draws: int,
) -> np.ndarray:
    """Return the boxes of the first `draws` training images, without ignored ones.

    Args:
        examples: the training split.
        image_hw: height and width of the network's input.
        settings: ranges and probabilities.
        seed: that of the training, for the very images that it will see.
        draws: images; every image once comes before any twice.

    Returns:
        (N, 4) float32 yxyx in pixels of `image_hw`, cut at the border.
    """
    source = SampleSource(examples, image_hw=image_hw, settings=settings, seed=seed)
    placed = (source.place(number) for number in range(draws))
    boxes = (objects.boxes_px[~objects.ignored] for objects in placed)
    return np.concatenate([np.zeros((0, 4), np.float32), *boxes])
