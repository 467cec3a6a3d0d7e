"""How many objects are beyond the reach of square anchors."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edge_retina.boxes.anchors import AnchorGrid, square_shapes
from edge_retina.boxes.coverage import best_iou

# RetinaNet calls an anchor below this IoU background (section 4.1).
REACH_IOU = 0.4
# The best square for an object of aspect r has its area; their IoU is 1 / (2 sqrt(r) - 1). So from
# here on, 3.06, no square of whatever size reaches `REACH_IOU`.
LONGEST_ASPECT = ((1 + 1 / REACH_IOU) / 2) ** 2
# An object inside a larger square has the ratio of their areas as IoU.
_SMALLEST_SHARE = math.sqrt(REACH_IOU)


@dataclass(frozen=True)
class SquareCoverage:
    """How square anchors reach objects; shares are 0 without objects.

    Attributes:
        objects: number of boxes that were measured.
        beyond_reach: share whose best IoU with any square is below 0.4, for whatever reason.
        too_long: share with an aspect ratio beyond 3.06 : 1 either way, which no square reaches.
        too_small: share with less than 0.4 of the smallest square's area; a larger input or smaller
            squares reach them, and ATSS matches them by their place.
    """

    objects: int
    beyond_reach: float
    too_long: float
    too_small: float

    def to_dict(self) -> dict[str, Any]:
        """Return the figures by name, for JSON."""
        return asdict(self)


def square_coverage(
    boxes_px: np.ndarray,
    *,
    image_hw: tuple[int, int],
    levels: tuple[int, ...],
    strides: float = 4.0,
    scales: int = 1,
) -> SquareCoverage:
    """Measure how squares reach boxes at their real places.

    Args:
        boxes_px: (N, 4) yxyx in pixels of the network input, as a rule as training draws them;
            those without an area are left out.
        image_hw: height and width of the input in pixels.
        levels: feature levels, finest first.
        strides: side of the squares; see `square_shapes`.
        scales: squares per cell.
    """
    sizes = boxes_px[:, 2:].astype(np.float64) - boxes_px[:, :2]
    sound = (sizes > 0).all(axis=1)
    boxes_px, sizes = boxes_px[sound], sizes[sound]
    if not len(boxes_px):
        return SquareCoverage(0, 0.0, 0.0, 0.0)
    shapes = square_shapes(levels, strides=strides, scales=scales)
    best = best_iou(AnchorGrid(image_hw, levels[0], shapes), boxes_px)
    aspects = sizes.max(axis=1) / sizes.min(axis=1)
    smallest = shapes[0][0][0] * _SMALLEST_SHARE
    return SquareCoverage(
        objects=len(boxes_px),
        beyond_reach=float((best < REACH_IOU).mean()),
        too_long=float((aspects > LONGEST_ASPECT).mean()),
        too_small=float((np.sqrt(sizes.prod(axis=1)) < smallest).mean()),
    )
