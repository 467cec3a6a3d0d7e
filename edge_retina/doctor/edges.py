"""Whether labelled boxes lie on the edges that the images show, without a network.

Where all boxes of a data set are displaced alike, a detector learns the displacement: its boxes
agree with the labels, and neither its loss nor its mAP shows anything. The images do. Along the
sides of a box that fits there is more contrast than beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from edge_retina.datasets.schema import Example
from edge_retina.runtime.image import load_image

_SIDE = 60  # pixels that a box is scaled to
_REACH = 18  # pixels of that on each side: displacements up to .3 of the box
_INSETS = np.arange(-2, 7)  # pixels of that by which boxes may be too small or too large
_MARGIN = 4  # pixels beyond the reach: for negative insets, and for the contrast's neighbours
# On five data sets, boxes as they are showed at most .05, and boxes moved by .12 of their side .08
# and more, with a contrast at least 1.09 times as high there (tests/doctor/test_edges.py).
_DISPLACED = 0.07
_CONTRAST = 1.08
_FEWEST_OBJECTS = 30
_MOST_OBJECTS = 400
_SMALLEST = 12.0  # px in the image; smaller ones have no sides to speak of


@dataclass(frozen=True)
class EdgeOffset:
    """By how much all boxes must be moved for their sides to lie on the strongest edges.

    Attributes:
        y, x: as fractions of the box's sides, positive downwards and to the right.
        contrast_y, contrast_x: contrast there over that of the boxes as they are.
        objects: number of objects that were looked at.
    """

    y: float
    x: float
    contrast_y: float
    contrast_x: float
    objects: int

    def displacements(self) -> list[Displacement]:
        """Return the directions in which boxes are displaced beyond doubt."""
        if self.objects < _FEWEST_OBJECTS:
            return []
        return [
            Displacement(side, direction[edges < 0], abs(edges), contrast)
            for side, direction, edges, contrast in (
                ("height", ("up", "down"), self.y, self.contrast_y),
                ("width", ("left", "right"), self.x, self.contrast_x),
            )
            if abs(edges) >= _DISPLACED and contrast >= _CONTRAST
        ]


@dataclass(frozen=True)
class Displacement:
    """That boxes lie too far in one direction.

    Attributes:
        side: of the box, "height" or "width".
        direction: "up", "down", "left" or "right".
        share: of that side.
        contrast: where the boxes should be, over that where they are.
    """

    side: str
    direction: str
    share: float
    contrast: float

    @property
    def text(self) -> str:
        """What was measured."""
        return (
            f"boxes lie {self.share:.0%} of their {self.side} too far {self.direction}: moved "
            f"back, their sides have {self.contrast:.1f} times the contrast in the images"
        )


def edge_offset(examples: Sequence[Example]) -> EdgeOffset:
    """Measure the common displacement of the boxes of some pictures.

    Args:
        examples: pictures with objects; at most 400 objects are looked at.
    """
    profiles: dict[str, list[np.ndarray]] = {"y": [], "x": []}
    for example in examples:
        if len(profiles["x"]) >= _MOST_OBJECTS:
            break
        grey = cv2.cvtColor(load_image(example.path), cv2.COLOR_RGB2GRAY).astype(np.float32)
        boxes = example.boxes_px[~example.ignored]
        boxes = boxes[(boxes[:, 2:] - boxes[:, :2]).min(axis=1, initial=np.inf) >= _SMALLEST]
        for box in boxes[: _MOST_OBJECTS - len(profiles["x"])]:
            crop = _crop(grey, box)
            profiles["x"].append(_profile(crop))
            profiles["y"].append(_profile(crop.T))
    if not profiles["x"]:
        return EdgeOffset(0.0, 0.0, 1.0, 1.0, 0)
    y, contrast_y = _peak(profiles["y"])
    x, contrast_x = _peak(profiles["x"])
    return EdgeOffset(y, x, contrast_y, contrast_x, len(profiles["x"]))


def _crop(grey: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Return a box and its surroundings, scaled so that the box has `_SIDE` pixels."""
    top, left, bottom, right = map(float, box)
    scale_y, scale_x = (bottom - top) / _SIDE, (right - left) / _SIDE
    size = _SIDE + 2 * (_REACH + _MARGIN)
    matrix = np.array(
        [
            [scale_x, 0, left - (_REACH + _MARGIN) * scale_x],
            [0, scale_y, top - (_REACH + _MARGIN) * scale_y],
        ]
    )
    crop = cv2.warpAffine(
        grey,
        matrix,
        (size, size),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(cv2.GaussianBlur(crop, (3, 3), 0))


def _profile(crop: np.ndarray) -> np.ndarray:
    """Return the contrast (2 * _REACH + 1, T) along the upright sides, by displacement and inset.

    Only the middle half of a side counts, where round objects touch it too, and only the side with
    less contrast: an edge of the background lies along one side of a box, not along both. Boxes
    may be too large or too small, by an inset of both sides: that is no displacement.
    """
    quarter = _SIDE // 4
    inner = crop[_REACH + _MARGIN + quarter : _REACH + _MARGIN + _SIDE - quarter]
    change = np.abs(inner[:, 2:] - inner[:, :-2]).mean(axis=0)  # place i: pixel i + 1
    moved = np.arange(-_REACH, _REACH + 1)[:, None] + _REACH + _MARGIN - 1
    sides = np.minimum(change[moved + _INSETS], change[moved + _SIDE - _INSETS])
    return np.asarray(sides / max(float(change.mean()), 1e-3))


def _peak(profiles: Sequence[np.ndarray]) -> tuple[float, float]:
    """Return the displacement of the highest mean contrast, and that over the contrast at 0."""
    mean = cv2.blur(np.mean(profiles, axis=0), (1, 3), borderType=cv2.BORDER_REPLICATE)
    best = np.unravel_index(mean.argmax(), mean.shape)
    return (int(best[0]) - _REACH) / _SIDE, float(mean[best] / max(mean[_REACH].max(), 1e-3))
