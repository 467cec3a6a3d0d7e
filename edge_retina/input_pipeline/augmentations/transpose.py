"""Swap x and y."""

from __future__ import annotations

import numpy as np

from edge_retina.input_pipeline.augmentation import Draw
from edge_retina.input_pipeline.sample import Sample

_SWAP = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])


def transpose(sample: Sample, draw: Draw) -> Sample:
    """Swap with probability `settings.transpose`.

    In the image's pixels, as if the objects lay differently before the camera: what is round stays
    round. So the ends of an image's longer side leave the frame, and beside its shorter side the
    frame is filled.
    """
    return sample.transform(_SWAP) if draw.happens(draw.settings.transpose) else sample
