"""Anchors fitted to a data set, and how many of them it needs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.boxes.coverage import AnchorCoverage, best_iou
from edge_retina.boxes.evolution import MOST_OBJECTS, evolve_shapes
from edge_retina.boxes.kmeans import fit_shapes

CURVE = tuple(range(1, 10))  # anchors per cell, up to RetinaNet's nine
# One more costs time in every cell of every level; half a point is within a training's noise.
WORTHWHILE_GAIN = 0.005


@dataclass(frozen=True)
class CurvePoint:
    """Coverage by fitted anchors, `per_cell` in each cell."""

    per_cell: int
    coverage: AnchorCoverage

    def to_dict(self) -> dict[str, Any]:
        """Return the number and the figures in one dict, for JSON."""
        return {"per_cell": self.per_cell, **self.coverage.to_dict()}


def fit_anchors(
    boxes_px: np.ndarray,
    *,
    image_hw: tuple[int, int],
    levels: tuple[int, ...],
    per_cell: int,
    evolve: int = 0,
    seed: int = 0,
) -> AnchorGrid:
    """Choose anchors for objects: k-means over their shapes, then `evolve` trials.

    Args:
        boxes_px: (N, 4) yxyx in pixels of the network input.
        image_hw: height and width of the input in pixels.
        levels: feature levels, finest first, without gaps.
        per_cell: anchors per cell.
        evolve: trials of `evolve_shapes`; 0 = none.
        seed: of everything random.
    """
    shapes = fit_shapes(boxes_px[:, 2:] - boxes_px[:, :2], levels, per_cell=per_cell, seed=seed)
    grid = AnchorGrid(image_hw, levels[0], shapes)
    if evolve:
        shapes = evolve_shapes(grid, boxes_px, rounds=evolve, seed=seed)
    return AnchorGrid(image_hw, levels[0], shapes)


def coverage_curve(
    boxes_px: np.ndarray,
    *,
    image_hw: tuple[int, int],
    levels: tuple[int, ...],
    per_cells: Sequence[int] = CURVE,
    evolve: int = 0,
    seed: int = 0,
) -> tuple[CurvePoint, ...]:
    """Fit with each number of anchors per cell and measure the coverage of the same objects.

    Arguments are those of `fit_anchors`. More than 5,000 objects are sampled at random. Without
    objects the curve is empty.
    """
    boxes_px = boxes_px[(boxes_px[:, 2:] > boxes_px[:, :2]).all(axis=1)]
    boxes_px = sample_boxes(boxes_px, seed=seed)
    points = []
    for per_cell in per_cells if len(boxes_px) else ():
        grid = fit_anchors(
            boxes_px,
            image_hw=image_hw,
            levels=levels,
            per_cell=per_cell,
            evolve=evolve,
            seed=seed,
        )
        points.append(CurvePoint(per_cell, AnchorCoverage.of(best_iou(grid, boxes_px))))
    return tuple(points)


def sample_boxes(boxes_px: np.ndarray, *, seed: int) -> np.ndarray:
    """Return the boxes (N, 4), or a random sample of 5,000 if there are more."""
    if len(boxes_px) <= MOST_OBJECTS:
        return boxes_px
    return np.random.default_rng(seed).choice(boxes_px, MOST_OBJECTS, replace=False)


def knee(curve: Sequence[CurvePoint]) -> int | None:
    """Return how many anchors per cell are worthwhile: the number after which more add little.

    The rule: the smallest number from which the next larger one of the curve raises neither the
    best possible recall nor the mean best IoU by `WORTHWHILE_GAIN`. If every step is worth it, the
    largest number; without points, None.
    """
    for point, following in itertools.pairwise(curve):
        before, after = point.coverage, following.coverage
        recall = after.best_possible_recall - before.best_possible_recall
        iou = after.mean_best_iou - before.mean_best_iou
        if max(recall, iou) < WORTHWHILE_GAIN:
            return point.per_cell
    return curve[-1].per_cell if curve else None
