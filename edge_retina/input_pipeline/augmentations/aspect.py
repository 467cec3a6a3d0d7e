"""Change the ratio of height to width."""

from __future__ import annotations

import math

import numpy as np

from edge_retina.input_pipeline.augmentation import Draw
from edge_retina.input_pipeline.sample import Sample


def aspect(sample: Sample, draw: Draw) -> Sample:
    """Change height/width by up to 1 + `settings.aspect`, either way, and keep the area."""
    factor = math.exp(draw.uniform(math.log1p(draw.settings.aspect)) / 2)
    return sample.transform(np.diag([1 / factor, factor, 1.0]))
