"""What a detector finds in one image."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

_Found = TypeVar("_Found", bound="Detections")


@dataclass(frozen=True)
class Detections:
    """The objects found in one image, best score first.

    Attributes:
        boxes_norm: (N, 4) float32, ymin xmin ymax xmax as fractions of the image's sides, in 0..1.
        classes: (N,) int32, indices into the detector's labels, from 0.
        scores: (N,) float32 in 0..1.
    """

    boxes_norm: np.ndarray
    classes: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)

    def boxes_px(self, image_hw: tuple[int, int]) -> np.ndarray:
        """Return the boxes as (N, 4) float32 yxyx in pixels of an image of `image_hw`."""
        height, width = image_hw
        return self.boxes_norm * np.array([height, width, height, width], np.float32)

    def above(self: _Found, score: float) -> _Found:
        """Return those with at least `score`."""
        keep = self.scores >= score
        return dataclasses.replace(
            self,
            boxes_norm=self.boxes_norm[keep],
            classes=self.classes[keep],
            scores=self.scores[keep],
        )


class Predictor(Protocol):
    """Anything that finds objects in an image: a Keras model, a .tflite file, a peer's model."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names by index."""

    def predict(self, image_rgb: np.ndarray) -> Detections:
        """Find objects in an upright (H, W, 3) uint8 RGB image of any size."""
