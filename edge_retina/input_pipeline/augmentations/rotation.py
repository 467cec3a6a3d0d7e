"""Rotate about the image's centre."""

from __future__ import annotations

import math

import numpy as np

from edge_retina.input_pipeline.augmentation import Draw
from edge_retina.input_pipeline.sample import Sample


def rotation(sample: Sample, draw: Draw) -> Sample:
    """Rotate by up to `settings.rotation` degrees either way, clockwise if positive.

    Boxes are refitted as if their objects were ellipses; see `render.move_boxes`.
    """
    angle = math.radians(draw.uniform(draw.settings.rotation))
    cos, sin = math.cos(angle), math.sin(angle)
    return sample.transform(np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]))
