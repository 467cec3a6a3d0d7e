"""Mirror left and right."""

from __future__ import annotations

import numpy as np

from edge_retina.input_pipeline.augmentation import Draw
from edge_retina.input_pipeline.sample import Sample

_MIRROR = np.diag([-1.0, 1.0, 1.0])


def horizontal_flip(sample: Sample, draw: Draw) -> Sample:
    """Mirror with probability `settings.horizontal_flip`."""
    return sample.transform(_MIRROR) if draw.happens(draw.settings.horizontal_flip) else sample
