"""Shift."""

from __future__ import annotations

import numpy as np

from edge_retina.input_pipeline.augmentation import Draw
from edge_retina.input_pipeline.sample import Sample


def translate(sample: Sample, draw: Draw) -> Sample:
    """Shift along x and y by up to `settings.translate` image sides each."""
    height, width = sample.image_hw
    limit = draw.settings.translate
    factor = np.eye(3)
    factor[:2, 2] = draw.uniform(limit) * width, draw.uniform(limit) * height
    return sample.transform(factor)
