"""Turn the colour circle."""

from __future__ import annotations

import math

import numpy as np

from edge_retina.input_pipeline.augmentation import Draw
from edge_retina.input_pipeline.sample import Sample


def hue(sample: Sample, draw: Draw) -> Sample:
    """Turn colours by up to `settings.hue` turns: a rotation of RGB about the grey axis."""
    angle = draw.uniform(draw.settings.hue) * 2 * math.pi
    factor = np.eye(4)
    factor[:3, :3] = _rotation_about_grey(angle)
    return sample.recolour(factor)


def _rotation_about_grey(angle: float) -> np.ndarray:
    """Return the rotation (3, 3) about (1, 1, 1) by an angle in radians (Rodrigues' formula)."""
    cos, third = math.cos(angle), (1 - math.cos(angle)) / 3
    sin = math.sin(angle) / math.sqrt(3)
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    return cos * np.eye(3) + sin * cross + third
