"""What the objects of a data set are for a network: large enough, and near enough to an anchor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.boxes.coverage import best_iou
from edge_retina.boxes.iou import mean_sides
from edge_retina.datasets import Example
from edge_retina.datasets.objects import boxes_at_input
from edge_retina.datasets.subset import draw_subset

_MOST_IMAGES = 2000  # the shares of more are the same to a point
_COVERED_IOU = 0.5
_QUANTILES = (5, 25, 50, 75, 95)


@dataclass(frozen=True)
class ObjectFit:
    """The objects of a data set at the input size, levels and anchors of a network.

    Attributes:
        objects: how many were looked at.
        learnable: share with a side of at least one cell of the finest level: a smaller one has not
            even one place of the feature map to itself.
        covered: share with an anchor of IoU >= 0.5.
        sides_px: 5, 25, 50, 75 and 95 % of the objects have a smaller side, in pixels of the input;
            a side is the square root of the area.
    """

    objects: int
    learnable: float
    covered: float
    sides_px: tuple[float, ...]

    def sides_cells(self, min_level: int) -> tuple[float, ...]:
        """Return the sides in cells of the finest level."""
        return tuple(side / 2**min_level for side in self.sides_px)


def few_examples(examples: Sequence[Example], *, seed: int) -> Sequence[Example]:
    """Return examples, or a part of them that is the same on every machine."""
    return draw_subset(examples, min(len(examples), _MOST_IMAGES), seed=seed)


def object_fit(grid: AnchorGrid, examples: Sequence[Example]) -> ObjectFit:
    """Measure how anchors and their finest level fit the objects of labelled images.

    Args:
        grid: the anchors.
        examples: labelled images with at least one object.
    """
    boxes = boxes_at_input(examples, grid.image_hw)
    sides = mean_sides(boxes)
    return ObjectFit(
        objects=len(boxes),
        learnable=float((sides >= 2**grid.min_level).mean()),
        covered=float((best_iou(grid, boxes) >= _COVERED_IOU).mean()),
        sides_px=tuple(float(side) for side in np.percentile(sides, _QUANTILES)),
    )
