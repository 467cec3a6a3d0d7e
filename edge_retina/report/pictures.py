"""Pictures inside a page."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import cv2
import numpy as np

MAX_SIDE_PX = 800  # shown at half the page's width; more would only make the file larger
_JPEG_QUALITY = 85
_GAP_PX = 6


@dataclass(frozen=True)
class Tile:
    """A picture in a grid.

    Attributes:
        source: `data:` address.
        caption: below it.
        name: for screen readers and as a hint.
    """

    source: str
    caption: str
    name: str


def data_uri(image_rgb: np.ndarray) -> str:
    """Return an (H, W, 3) uint8 RGB picture as a JPEG in a `data:` address, shrunk if large."""
    height, width = image_rgb.shape[:2]
    shrink = MAX_SIDE_PX / max(height, width)
    if shrink < 1:
        size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
        image_rgb = cv2.resize(image_rgb, size, interpolation=cv2.INTER_AREA)
    image_bgr = cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR)
    _, jpeg = cv2.imencode(".jpg", image_bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return "data:image/jpeg;base64," + base64.b64encode(jpeg.tobytes()).decode("ascii")


def beside(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return two (H, W, 3) uint8 RGB pictures of one height as one."""
    gap = np.full((left.shape[0], _GAP_PX, 3), 255, np.uint8)
    return np.concatenate([left, gap, right], axis=1)
