"""How a picture is brought to a network's size, and the way back for the boxes."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from edge_retina.runtime.foreign_settings import STRETCH
from edge_retina.runtime.image import stretch

_GREY = 114  # the border that YOLO networks are trained with
_TIE = 0.1  # an odd border is one pixel wider at the bottom and on the right, as in training


@dataclass(frozen=True)
class Placement:
    """Where a picture lies in a network's input, in pixels of the input.

    Attributes:
        top, left: of its upper left corner.
        height, width: of the resized picture.
        input_hw: of the input.
    """

    top: int
    left: int
    height: int
    width: int
    input_hw: tuple[int, int]

    def to_picture(self, boxes_norm: np.ndarray) -> np.ndarray:
        """Return boxes (N, 4) yxyx, fractions of the input, as fractions of the picture."""
        size = np.array(self.input_hw * 2, np.float32)
        start = np.array((self.top, self.left) * 2, np.float32)
        sides = np.array((self.height, self.width) * 2, np.float32)
        return (boxes_norm * size - start) / sides


def place(
    image_rgb: np.ndarray, input_hw: tuple[int, int], resize: str
) -> tuple[np.ndarray, Placement]:
    """Bring an (H, W, 3) uint8 picture to `input_hw`.

    Args:
        image_rgb: upright.
        input_hw: height and width.
        resize: stretch it, or letterbox it: keep its aspect ratio, centre it, fill with grey.
            Source: LetterBox of Ultralytics, with centred borders; small pictures are enlarged.
    """
    if resize == STRETCH:
        return stretch(image_rgb, input_hw), Placement(0, 0, *input_hw, input_hw)
    height, width = image_rgb.shape[:2]
    gain = min(input_hw[0] / height, input_hw[1] / width)
    inner = (max(round(height * gain), 1), max(round(width * gain), 1))
    top, left = (
        round((outer - side) / 2 - _TIE) for outer, side in zip(input_hw, inner, strict=True)
    )
    resized = image_rgb if inner == (height, width) else stretch(image_rgb, inner)
    filled = cv2.copyMakeBorder(
        resized,
        top,
        input_hw[0] - inner[0] - top,
        left,
        input_hw[1] - inner[1] - left,
        cv2.BORDER_CONSTANT,
        value=(_GREY, _GREY, _GREY),
    )
    return filled, Placement(top, left, *inner, input_hw)
