"""Blur, as by a lens out of focus."""

from __future__ import annotations

import cv2
import numpy as np

from edge_retina.input_pipeline.augmentation import Draw
from edge_retina.input_pipeline.sample import Sample

# Standard deviations in pixels of the network's input. Below the lower one nothing changes; above
# the upper one an object of 8 px, the smallest that is learned, is a spot without a shape.
_SIGMA_PX = (0.4, 1.6)


def blur(sample: Sample, draw: Draw) -> Sample:
    """Blur by a Gaussian of random width, with probability `settings.blur`."""
    if not draw.happens(draw.settings.blur):
        return sample
    sigma = draw.rng.uniform(*_SIGMA_PX)

    def step(image_rgb: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(image_rgb, (0, 0), sigma)

    return sample.finish(step)
