"""Training samples by number: the n-th draw is always the same image, changed alike."""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Sequence

import numpy as np

from edge_retina.config import AugmentationConfig
from edge_retina.datasets.example_table import ExampleTable
from edge_retina.datasets.schema import Example
from edge_retina.input_pipeline.augment import change
from edge_retina.input_pipeline.augmentation import Augmentation, Draw, plain_settings
from edge_retina.input_pipeline.augmentations.table import AUGMENTATIONS
from edge_retina.input_pipeline.geometry import PlacedObjects, place
from edge_retina.input_pipeline.render import render, render_image
from edge_retina.input_pipeline.repeat_factors import draw_repeats, epoch_length, repeat_factors
from edge_retina.input_pipeline.sample import Picture, Sample
from edge_retina.runtime.image import load_image

log = logging.getLogger(__name__)


class SampleSource:
    """Draws augmented samples; decoded images stay in memory if all of them fit.

    Every epoch shows every image once, in an order drawn from the seed and the epoch's number; with
    a repeat threshold, images with rare classes come several times (see `repeat_factors`). A draw
    depends on nothing but the seed and its own number, so a resumed training sees what it would
    have seen without the interruption, however many threads draw.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        *,
        image_hw: tuple[int, int],
        settings: AugmentationConfig,
        seed: int,
        cache_mb: int = 0,
        repeat_threshold: float = 0.0,
        plain_from: int | None = None,
        augmentations: Sequence[Augmentation] = AUGMENTATIONS,
    ) -> None:
        """Take what to draw from.

        Args:
            examples: the training split.
            image_hw: the network's input size.
            settings: of the augmentations.
            seed: of everything drawn.
            cache_mb: memory for decoded images, 0 = none.
            repeat_threshold: see `repeat_factors`; 0 for no repeats.
            plain_from: the first draw under `plain_settings`; None for no such draw.
            augmentations: applied in this order.
        """
        self._examples = examples
        self._image_hw = image_hw
        self._settings, self._plain = settings, plain_settings(settings)
        self._plain_from = plain_from
        self._seed = seed
        self._augmentations = augmentations
        self._decoded: dict[int, np.ndarray] = {}
        self._keep = self._fits(cache_mb)
        self._factors = repeat_factors(examples, repeat_threshold)
        self._epoch_length = epoch_length(self._factors)
        if self._epoch_length > len(examples):
            log.info(
                "data.repeat_threshold: an epoch draws %d pictures from %d, one of them up to %.1f "
                "times",
                self._epoch_length,
                len(examples),
                self._factors.max(),
            )
        self._orders: dict[int, np.ndarray] = {}

    def draw(self, number: int) -> Sample:
        """Return the `number`-th sample, at the network's input size; see `augment`."""
        sample, _ = self.draw_with_views(number, ())
        return sample

    def draw_with_views(
        self, number: int, views_hw: Sequence[tuple[int, int]]
    ) -> tuple[Sample, list[np.ndarray]]:
        """Return what `draw` does, and the same image (h, w, 3) at other sizes.

        All are rendered from the original pixels, so a larger one shows what the smaller can't.
        """
        changed = self._change(number)
        if views_hw:  # its pixels are made once, not for each size
            changed = dataclasses.replace(changed, picture=Picture.of(changed.image_rgb))
        sample = render(changed, self._image_hw, min_visible=self._settings.min_visible)
        return sample, [render_image(changed, image_hw) for image_hw in views_hw]

    def place(self, number: int) -> PlacedObjects:
        """Return the objects of the `number`-th sample, without decoding or drawing any pixels."""
        sample = self._change(number)
        return place(sample, self._image_hw, min_visible=self._settings.min_visible)

    def original(self, number: int) -> Sample:
        """Return what the `number`-th sample is made of, as it is in the data set."""
        epoch, position = divmod(number, self._epoch_length)
        return self._read(int(self._order(epoch)[position]))

    def _change(self, number: int) -> Sample:
        rng = np.random.default_rng([self._seed, number])
        is_plain = self._plain_from is not None and number >= self._plain_from
        settings = self._plain if is_plain else self._settings
        draw = Draw(settings, rng, draw_another=self._draw_another)
        return change(self.original(number), draw, self._augmentations)

    def _draw_another(self, rng: np.random.Generator) -> Sample:
        return self._read(int(rng.integers(len(self._examples))))

    def _read(self, index: int) -> Sample:
        example = self._examples[index]
        picture = Picture(example.image_hw, functools.partial(self._decode, index))
        return Sample(picture, example.boxes_px, example.classes, example.ignored)

    def _order(self, epoch: int) -> np.ndarray:
        order = self._orders.get(epoch)
        if order is None:
            rng = np.random.default_rng([self._seed, epoch, len(self._examples)])
            repeats = draw_repeats(self._factors, rng)
            order = rng.permutation(np.repeat(np.arange(len(repeats)), repeats))
            # Threads are at the end of one epoch and the start of the next: two are enough.
            self._orders = {e: o for e, o in self._orders.items() if abs(e - epoch) == 1}
            self._orders[epoch] = order
        return order

    def _decode(self, index: int) -> np.ndarray:
        image = self._decoded.get(index)
        if image is None:
            image = load_image(self._examples[index].path)
            if self._keep:
                self._decoded[index] = image
        return image

    def _fits(self, cache_mb: int) -> bool:
        sizes_hw = ExampleTable.of(self._examples).image_hw.astype(np.int64)
        needed_mb = 3 * int(sizes_hw.prod(axis=1).sum()) / 2**20
        if needed_mb > cache_mb > 0:
            log.info(
                "decoded images need %.0f MB, data.cache_mb allows %d: every epoch decodes",
                needed_mb,
                cache_mb,
            )
        return needed_mb <= cache_mb
