"""Change the brightness."""

from __future__ import annotations

import numpy as np

from edge_retina.input_pipeline.augmentation import Draw
from edge_retina.input_pipeline.sample import Sample


def brightness(sample: Sample, draw: Draw) -> Sample:
    """Add up to ± `settings.brightness` of the full range."""
    factor = np.eye(4)
    factor[:3, 3] = draw.uniform(draw.settings.brightness) * 255
    return sample.recolour(factor)
