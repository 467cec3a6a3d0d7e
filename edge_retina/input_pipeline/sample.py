"""A labelled image on its way through the augmentations."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Sample:
    """An image, its objects, and the changes that `render` will make to them.

    Changes are collected as matrices, so that each pixel is computed only once.

    Attributes:
        image_rgb: (H, W, 3) uint8, not changed yet.
        boxes_px: (G, 4) yxyx in pixels of `image_rgb`.
        classes: (G,) int32.
        ignored: (G,) bool; neither object nor background, e.g. crowd regions.
        affine: (3, 3), moves (x, y, 1) in pixels of `image_rgb` from the image's centre.
        colours: (4, 4), changes (r, g, b, 1) on 0..255.
    """

    image_rgb: np.ndarray
    boxes_px: np.ndarray
    classes: np.ndarray
    ignored: np.ndarray
    affine: np.ndarray = field(default_factory=lambda: np.eye(3))
    colours: np.ndarray = field(default_factory=lambda: np.eye(4))

    @property
    def image_hw(self) -> tuple[int, int]:
        """Height and width of the image as it is now."""
        height, width = self.image_rgb.shape[:2]
        return height, width

    def transform(self, factor: np.ndarray) -> Sample:
        """Return the sample with an affine map (3, 3) to be applied after those it has."""
        return dataclasses.replace(self, affine=factor @ self.affine)

    def recolour(self, factor: np.ndarray) -> Sample:
        """Return the sample with a colour map (4, 4) to be applied after those it has."""
        return dataclasses.replace(self, colours=factor @ self.colours)
