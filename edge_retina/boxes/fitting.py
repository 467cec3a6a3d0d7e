"""Anchors for a data set, and how many of them it needs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.boxes.coverage import best_iou
from edge_retina.boxes.evolution import MOST_OBJECTS, evolve_shapes
from edge_retina.boxes.kmeans import fit_shapes

CURVE = tuple(range(1, 10))  # shapes a cell, up to RetinaNet's nine
# Each shape more costs every cell of every level; half a point is within the noise of a training.
WORTHWHILE_GAIN = 0.005


@dataclass(frozen=True)
class CurvePoint:
    """Coverage by anchors fitted with some number of shapes a cell.

    Attributes:
        per_cell: that number.
        best_possible_recall, recall_at_40, mean_best_iou: see `coverage.AnchorCoverage`.
    """

    per_cell: int
    best_possible_recall: float
    recall_at_40: float
    mean_best_iou: float


def fit_anchors(
    boxes_px: np.ndarray,
    *,
    image_hw: tuple[int, int],
    levels: tuple[int, ...],
    per_cell: int,
    evolve: int = 0,
    seed: int = 0,
) -> AnchorGrid:
    """Choose anchors for objects: k-means over their shapes, then evolution if asked for.

    Args:
        boxes_px: (N, 4) yxyx in pixels of the network input.
        image_hw: height and width of the input in pixels.
        levels: feature levels, finest first, without gaps.
        per_cell: shapes for each level.
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
    """Fit with each number of shapes a cell and measure the coverage of the same objects.

    Arguments are those of `fit_anchors`. Of more than 5,000 objects a random choice is taken.
    Without any object there is no point.
    """
    boxes_px = boxes_px[(boxes_px[:, 2:] > boxes_px[:, :2]).all(axis=1)]
    if len(boxes_px) > MOST_OBJECTS:
        rng = np.random.default_rng(seed)
        boxes_px = rng.choice(boxes_px, MOST_OBJECTS, replace=False)
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
        best = best_iou(grid, boxes_px)
        points.append(
            CurvePoint(
                per_cell=per_cell,
                best_possible_recall=float((best >= 0.5).mean()),
                recall_at_40=float((best >= 0.4).mean()),
                mean_best_iou=float(best.mean()),
            )
        )
    return tuple(points)


def knee(curve: Sequence[CurvePoint]) -> int | None:
    """Return how many shapes a cell are worthwhile: the number after which more add little.

    The rule: the smallest number from which the next larger one of the curve raises neither the
    best possible recall nor the mean best IoU by `WORTHWHILE_GAIN`. If every step is worth it, the
    largest number; without points, None.
    """
    for point, following in itertools.pairwise(curve):
        recall = following.best_possible_recall - point.best_possible_recall
        iou = following.mean_best_iou - point.mean_best_iou
        if max(recall, iou) < WORTHWHILE_GAIN:
            return point.per_cell
    return curve[-1].per_cell if curve else None
