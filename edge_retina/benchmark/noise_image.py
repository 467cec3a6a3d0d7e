"""A generated image, for measuring latency without a data set."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edge_retina.files import write_bytes

_HW = (480, 640)  # VGA, the usual frame size of phone cameras for detectors
_BLOB_PX = 16  # grain: coarse enough that stretching doesn't average it to plain grey


def write_noise_image(path: Path, *, seed: int) -> Path:
    """Write a .png of coloured noise, the same for the same seed, and return its path."""
    height, width = _HW
    grid = (height // _BLOB_PX, width // _BLOB_PX, 3)
    coarse = np.random.default_rng(seed).integers(0, 256, grid, dtype=np.uint8)
    image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    write_bytes(path, cv2.imencode(".png", image)[1].tobytes())
    return path
