"""Add the noise of a camera's sensor."""

from __future__ import annotations

import numpy as np

from edge_retina.input_pipeline.augmentation import Draw
from edge_retina.input_pipeline.sample import Sample


def noise(sample: Sample, draw: Draw) -> Sample:
    """Add Gaussian noise of its own to every pixel and channel.

    Its standard deviation is drawn from 0..`settings.noise`, in units of the full range.
    """
    if draw.settings.noise == 0:
        return sample
    sigma = draw.rng.uniform(0, draw.settings.noise) * 255
    seed = int(draw.rng.integers(2**63))

    def step(image_rgb: np.ndarray) -> np.ndarray:
        rng = np.random.default_rng(seed)
        added = rng.standard_normal(image_rgb.shape, np.float32) * np.float32(sigma)
        return np.clip(np.rint(image_rgb + added), 0, 255).astype(np.uint8)

    return sample.finish(step)
