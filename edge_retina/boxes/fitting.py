"""Anchors fitted to a data set, and how many of them it needs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_retina.boxes.anchors import AnchorGrid, Shape
from edge_retina.boxes.coverage import AnchorCoverage, best_iou
from edge_retina.boxes.evolution import MOST_OBJECTS, evolve_shapes
from edge_retina.boxes.iou import shape_iou
from edge_retina.boxes.kmeans import fit_shapes, nearest_level
from edge_retina.boxes.samples import BoxSample, HeldOut

CURVE = tuple(range(1, 10))  # anchors per cell, up to RetinaNet's nine
# One more costs time in every cell of every level; half a point is within a training's noise.
WORTHWHILE_GAIN = 0.005
_MOST_OF_A_FOLD = 2000  # boxes; a curve has nine fits in each of five folds


@dataclass(frozen=True)
class FittedAnchors:
    """Anchors fitted to objects.

    Attributes:
        grid: the anchors.
        objects: by level and shape, the number of objects that are nearest to the shape in its
            level; 0 for a filler, which is there because all levels need equally many shapes.
    """

    grid: AnchorGrid
    objects: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class CurvePoint:
    """Coverage by fitted anchors, `per_cell` in each cell.

    Attributes:
        per_cell: shapes in a cell.
        coverage: of the boxes that were fitted to.
        held_out: of objects that were not; None where none were kept apart.
    """

    per_cell: int
    coverage: AnchorCoverage
    held_out: AnchorCoverage | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the number and the figures in one dict, for JSON."""
        tree: dict[str, Any] = {"per_cell": self.per_cell, **self.coverage.to_dict()}
        if self.held_out is not None:
            tree["held_out"] = self.held_out.to_dict()
        return tree


def fit_anchors(
    sample: BoxSample,
    *,
    image_hw: tuple[int, int],
    levels: tuple[int, ...],
    per_cell: int,
    evolve: int = 0,
    seed: int = 0,
) -> FittedAnchors:
    """Choose anchors for objects: k-means over their shapes, then `evolve` trials.

    Args:
        sample: the objects.
        image_hw: height and width of the input in pixels.
        levels: feature levels, finest first, without gaps.
        per_cell: anchors per cell; there are fewer where no level has objects for so many, see
            `fit_shapes`.
        evolve: trials of `evolve_shapes`; 0 = none.
        seed: of everything random.
    """
    sizes = sample.boxes_px[:, 2:] - sample.boxes_px[:, :2]
    found = fit_shapes(
        sizes, levels, per_cell=per_cell, boxes_per_object=sample.per_object, seed=seed
    )
    grid = AnchorGrid(image_hw, levels[0], found.shapes)
    if not evolve:
        return FittedAnchors(grid, found.objects)
    shapes = evolve_shapes(grid, sample.boxes_px, rounds=evolve, seed=seed)
    return FittedAnchors(
        AnchorGrid(image_hw, levels[0], shapes), _nearest_objects(shapes, levels, sample)
    )


def _nearest_objects(
    shapes: tuple[tuple[Shape, ...], ...], levels: tuple[int, ...], sample: BoxSample
) -> tuple[tuple[int, ...], ...]:
    """Return for each level and shape how many of the level's objects are nearest to it."""
    sizes = (sample.boxes_px[:, 2:] - sample.boxes_px[:, :2]).astype(np.float64)
    level_of = nearest_level(sizes, levels)
    counts = []
    for level, of_level in zip(levels, shapes, strict=True):
        nearest = shape_iou(sizes[level_of == level], np.array(of_level)).argmax(axis=1)
        boxes = np.bincount(nearest, minlength=len(of_level))
        counts.append(tuple(round(float(count) / sample.per_object) for count in boxes))
    return tuple(counts)


def held_out_coverage(
    held_out: HeldOut,
    *,
    image_hw: tuple[int, int],
    levels: tuple[int, ...],
    per_cell: int,
    evolve: int = 0,
    seed: int = 0,
) -> AnchorCoverage:
    """Measure objects of every fold with anchors fitted to the others; see `fit_anchors`."""
    best = [np.zeros(0)]
    for fold in held_out.folds:
        found = fit_anchors(
            fold.fitted_to,
            image_hw=image_hw,
            levels=levels,
            per_cell=per_cell,
            evolve=evolve,
            seed=seed,
        )
        best.append(best_iou(found.grid, fold.measured_px))
    return AnchorCoverage.of(np.concatenate(best))


def coverage_curve(
    sample: BoxSample,
    *,
    image_hw: tuple[int, int],
    levels: tuple[int, ...],
    held_out: HeldOut | None = None,
    per_cells: Sequence[int] = CURVE,
    evolve: int = 0,
    seed: int = 0,
) -> tuple[CurvePoint, ...]:
    """Fit with each number of anchors per cell and measure the coverage of the same objects.

    The other arguments are those of `fit_anchors`. Of more than 5,000 boxes, 5,000 are taken at
    random; of each fold 2,000. The curve ends where the objects are too few for more shapes, and
    without objects it is empty.

    Args:
        sample: the objects.
        image_hw: height and width of the input in pixels.
        levels: feature levels.
        held_out: other objects to measure too.
        per_cells: the numbers, rising.
        evolve: trials after k-means.
        seed: of everything random.
    """
    boxes_px = sample.boxes_px
    sample = BoxSample(boxes_px[(boxes_px[:, 2:] > boxes_px[:, :2]).all(axis=1)], sample.objects)
    sample = sample.at_most(MOST_OBJECTS, seed=seed)
    held_out = held_out and held_out.at_most(_MOST_OF_A_FOLD, seed=seed)
    how: dict[str, Any] = {"image_hw": image_hw, "levels": levels, "evolve": evolve, "seed": seed}
    points: list[CurvePoint] = []
    for per_cell in per_cells if len(sample.boxes_px) else ():
        grid = fit_anchors(sample, per_cell=per_cell, **how).grid
        if points and grid.per_cell == points[-1].per_cell:
            break
        measured = AnchorCoverage.of(best_iou(grid, sample.boxes_px))
        other = held_out_coverage(held_out, per_cell=per_cell, **how) if held_out else None
        points.append(CurvePoint(grid.per_cell, measured, other))
    return tuple(points)


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
