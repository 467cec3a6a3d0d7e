"""Zoom."""

from __future__ import annotations

import math

import numpy as np

from edge_retina.input_pipeline.augmentation import Draw
from edge_retina.input_pipeline.sample import Sample


def scale(sample: Sample, draw: Draw) -> Sample:
    """Zoom by a factor from `settings.scale`, log-uniform."""
    low, high = draw.settings.scale
    middle, half_range = math.log(low * high) / 2, math.log(high / low) / 2
    zoom = math.exp(middle + draw.uniform(half_range))
    return sample.transform(np.diag([zoom, zoom, 1.0]))
