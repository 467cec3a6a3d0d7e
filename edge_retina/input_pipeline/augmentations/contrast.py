"""Change the contrast."""

from __future__ import annotations

import numpy as np

from edge_retina.input_pipeline.augmentation import Draw
from edge_retina.input_pipeline.sample import Sample

_GREY = 128.0


def contrast(sample: Sample, draw: Draw) -> Sample:
    """Scale the distance from mid-grey by 1 ± `settings.contrast`."""
    gain = 1 + draw.uniform(draw.settings.contrast)
    factor = np.diag([gain, gain, gain, 1.0])
    factor[:3, 3] = _GREY * (1 - gain)
    return sample.recolour(factor)
