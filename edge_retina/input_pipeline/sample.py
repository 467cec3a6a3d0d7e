"""A labelled image on its way through the augmentations."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

# Changes a rendered image (H, W, 3) uint8; returns a new one of the same shape. What is random in
# it was drawn before, so that it does the same whenever it is called.
PixelStep = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Picture:
    """Pixels that are made when they are asked for: boxes can be drawn without decoding anything.

    Attributes:
        image_hw: height and width.
        read: returns (H, W, 3) uint8, which is not to be changed.
    """

    image_hw: tuple[int, int]
    read: Callable[[], np.ndarray]

    @classmethod
    def of(cls, image_rgb: np.ndarray) -> Picture:
        """Return a picture of pixels that exist already."""
        height, width = image_rgb.shape[:2]
        return cls((height, width), lambda: image_rgb)


@dataclass(frozen=True)
class Sample:
    """An image, its objects, and the changes that `render` will make to them.

    Changes are collected as matrices, so that each pixel is computed only once.

    Attributes:
        picture: the image, not changed yet.
        boxes_px: (G, 4) yxyx in pixels of `picture`.
        classes: (G,) int32.
        ignored: (G,) bool; neither object nor background, e.g. crowd regions.
        visible: (G,) share of each object that is not cut off or covered; all of it by default.
        affine: (3, 3), moves (x, y, 1) in pixels of `picture` from the image's centre.
        colours: (4, 4), changes (r, g, b, 1) on 0..255.
        pixel_steps: change the rendered image, in this order.
    """

    picture: Picture
    boxes_px: np.ndarray
    classes: np.ndarray
    ignored: np.ndarray
    visible: np.ndarray = None  # type: ignore[assignment]  # see __post_init__
    affine: np.ndarray = field(default_factory=lambda: np.eye(3))
    colours: np.ndarray = field(default_factory=lambda: np.eye(4))
    pixel_steps: tuple[PixelStep, ...] = ()

    def __post_init__(self) -> None:
        if self.visible is None:
            object.__setattr__(self, "visible", np.ones(len(self.classes)))

    @property
    def image_rgb(self) -> np.ndarray:
        """(H, W, 3) uint8, not changed yet; made anew by every access."""
        return self.picture.read()

    @property
    def image_hw(self) -> tuple[int, int]:
        """Height and width of the image as it is now."""
        return self.picture.image_hw

    def transform(self, factor: np.ndarray) -> Sample:
        """Return the sample with an affine map (3, 3) to be applied after those it has."""
        return dataclasses.replace(self, affine=factor @ self.affine)

    def recolour(self, factor: np.ndarray) -> Sample:
        """Return the sample with a colour map (4, 4) to be applied after those it has."""
        return dataclasses.replace(self, colours=factor @ self.colours)

    def finish(self, step: PixelStep) -> Sample:
        """Return the sample with a change of the rendered image, to be made after those it has."""
        return dataclasses.replace(self, pixel_steps=(*self.pixel_steps, step))
