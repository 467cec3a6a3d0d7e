"""Make colours stronger or greyer."""

from __future__ import annotations

import numpy as np

from edge_retina.input_pipeline.augmentation import Draw
from edge_retina.input_pipeline.sample import Sample

_TO_GREY = np.eye(4)
_TO_GREY[:3, :3] = [0.299, 0.587, 0.114]  # luma of ITU-R BT.601


def saturation(sample: Sample, draw: Draw) -> Sample:
    """Scale the distance from grey by 1 ± `settings.saturation`."""
    factor = 1 + draw.uniform(draw.settings.saturation)
    return sample.recolour(factor * np.eye(4) + (1 - factor) * _TO_GREY)
