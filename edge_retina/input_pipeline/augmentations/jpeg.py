"""Compress as JPEG."""

from __future__ import annotations

import cv2
import numpy as np

from edge_retina.input_pipeline.augmentation import Draw
from edge_retina.input_pipeline.sample import Sample

# libjpeg's scale of 1..100. At 30 its blocks are plain to see, as in messengers' pictures; above 90
# hardly any pixel changes.
_QUALITY = (30, 90)


def jpeg(sample: Sample, draw: Draw) -> Sample:
    """Compress by a random quality, with probability `settings.jpeg`."""
    if not draw.happens(draw.settings.jpeg):
        return sample
    low, high = _QUALITY
    quality = int(draw.rng.integers(low, high + 1))

    def step(image_rgb: np.ndarray) -> np.ndarray:
        bgr = cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR)
        _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB))

    return sample.finish(step)
