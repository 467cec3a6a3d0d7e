"""Shear about the image's centre."""

from __future__ import annotations

import math

import numpy as np

from edge_retina.input_pipeline.augmentation import Draw
from edge_retina.input_pipeline.sample import Sample


def shear(sample: Sample, draw: Draw) -> Sample:
    """Shear along x, then along y, by up to `settings.shear` degrees each; areas stay the same.

    Boxes are refitted as if their objects were ellipses; see `geometry.move_boxes`.
    """
    along_x, along_y = np.eye(3), np.eye(3)
    along_x[0, 1] = math.tan(math.radians(draw.uniform(draw.settings.shear)))
    along_y[1, 0] = math.tan(math.radians(draw.uniform(draw.settings.shear)))
    return sample.transform(along_y @ along_x)
