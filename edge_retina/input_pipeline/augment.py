"""Augment a sample: every augmentation in turn, then one rendering for all."""

from __future__ import annotations

from collections.abc import Sequence

from edge_retina.input_pipeline.augmentation import Augmentation, Draw
from edge_retina.input_pipeline.augmentations.table import AUGMENTATIONS
from edge_retina.input_pipeline.render import render
from edge_retina.input_pipeline.sample import Sample


def augment(
    sample: Sample,
    draw: Draw,
    *,
    image_hw: tuple[int, int],
    augmentations: Sequence[Augmentation] = AUGMENTATIONS,
) -> Sample:
    """Return a randomly changed sample at the network's input size.

    Args:
        sample: as it is in the data set.
        draw: settings and source of chance.
        image_hw: height and width of the network's input.
        augmentations: applied in this order.

    Returns:
        Boxes are float32 yxyx in pixels of `image_hw`, cut at the border. Objects outside are
        dropped; objects with less than `settings.min_visible` of their area left are ignored.
    """
    sample = change(sample, draw, augmentations)
    return render(sample, image_hw, min_visible=draw.settings.min_visible)


def change(
    sample: Sample, draw: Draw, augmentations: Sequence[Augmentation] = AUGMENTATIONS
) -> Sample:
    """Return a sample with random changes that are still to be made, by `render` or `place`."""
    for augmentation in augmentations:
        sample = augmentation(sample, draw)
    return sample
