"""Anchor shapes improved by random changes that are kept if they cover real objects better.

k-means sees shapes only. It can't know that an object between two cells needs another shape than
one centred on a cell, nor that two levels serve the same object.

Source: the genetic step after k-means is an idea of YOLOv5's autoanchor (Ultralytics, 2020).
Deviations: one shape changes at a time, so that a trial costs one column of a matrix; positions and
levels are the detector's own; the fitness is the mean best IoU plus the best possible recall. The
mean alone fits objects that are found anyway more tightly and gives up others: on vehicles5 at
256 px with 9 anchors per cell, recall fell from .938 to .928; with the sum it rose to .952.
"""

from __future__ import annotations

import numpy as np

from edge_retina.boxes.anchors import AnchorGrid, Shape
from edge_retina.boxes.coverage import AnchorCoverage, centre_offsets, iou_at_offsets
from edge_retina.boxes.kmeans import nearest_level

MOST_OBJECTS = 5000  # a random sample of so many is as good as all
# Allowed sides of a level's shapes, in strides: an octave around RetinaNet's 2.8 to 5.7. The finest
# level may have smaller ones and the coarsest larger ones, since no other level covers those.
_SMALLEST_STRIDES, _LARGEST_STRIDES = 2.0, 8.0
_JUMP_SHARE = 0.15  # of trials that try the shape of a badly covered object
_JUMP_SIGMA = 0.1  # of the logarithm of a side
_STEP_SIGMA = 0.25  # the same, at most; each step draws its own below it


def evolve_shapes(
    grid: AnchorGrid, boxes_px: np.ndarray, *, rounds: int, seed: int = 0
) -> tuple[tuple[Shape, ...], ...]:
    """Return shapes that cover boxes at least as well as those of `grid`.

    Args:
        grid: where the anchors are, and the shapes to start from.
        boxes_px: (N, 4) yxyx of objects in pixels of the network input.
        rounds: number of trials; 2,000 take a second or two for 5,000 objects.
        seed: of everything random.

    Returns:
        For each level as many (height, width) pairs in pixels, smallest area first.
    """
    rng = np.random.default_rng(seed)
    boxes_px = _usable(boxes_px, rng)
    if not len(boxes_px) or rounds < 1:
        return grid.shapes
    trial = _Trial(grid, boxes_px)
    for _ in range(rounds):
        level, number, shape = _mutant(trial, rng)
        if _suits(shape, level, grid):
            trial.try_shape(level, number, shape)
    return tuple(
        tuple(sorted(((round(h, 2), round(w, 2)) for h, w in shapes), key=lambda s: s[0] * s[1]))
        for shapes in trial.shapes.tolist()
    )


def fitness(best_iou: np.ndarray) -> float:
    """Return what evolution raises: the mean of the best IoUs (N,) plus the recall at IoU 0.5."""
    coverage = AnchorCoverage.of(best_iou)
    return coverage.mean_best_iou + coverage.best_possible_recall


class _Trial:
    """The current shapes and the IoU of every object with each of them."""

    def __init__(self, grid: AnchorGrid, boxes_px: np.ndarray) -> None:
        self.grid = grid
        self.boxes_px = boxes_px
        self.sizes = boxes_px[:, 2:] - boxes_px[:, :2]
        self.level_of = nearest_level(self.sizes, grid.levels) - grid.min_level
        self.shapes = np.array(grid.shapes, np.float64)  # (L, K, 2)
        self._offsets = [
            centre_offsets(boxes_px, level=level, cells_hw=grid.cells_hw(level))
            for level in grid.levels
        ]
        levels, per_cell, _ = self.shapes.shape
        self._iou = np.stack(
            [self._column(lv, self.shapes[lv, k]) for lv in range(levels) for k in range(per_cell)],
            axis=1,
        )
        self._rank()
        self._fitness = fitness(self.best)

    def try_shape(self, level: int, number: int, shape: np.ndarray) -> None:
        """Replace a shape by `shape` if that covers the objects better."""
        place = level * self.grid.per_cell + number
        column = self._column(level, shape)
        others = np.where(self._owner == place, self._second, self.best)
        found = fitness(np.maximum(others, column))
        if found > self._fitness:
            self._fitness = found
            self.shapes[level, number] = shape
            self._iou[:, place] = column
            self._rank()

    def _column(self, level: int, shape: np.ndarray) -> np.ndarray:
        height, width = shape
        return iou_at_offsets(self.boxes_px, self._offsets[level], (height, width))

    def _rank(self) -> None:
        """Find each object's best shape, and its IoU without that shape."""
        rows = np.arange(len(self._iou))
        self._owner = self._iou.argmax(axis=1)
        self.best = self._iou[rows, self._owner]
        rest = self._iou.copy()
        rest[rows, self._owner] = 0
        self._second = rest.max(axis=1)


def _usable(boxes_px: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    boxes_px = np.asarray(boxes_px, np.float64)
    boxes_px = boxes_px[(boxes_px[:, 2:] > boxes_px[:, :2]).all(axis=1)]
    if len(boxes_px) > MOST_OBJECTS:
        boxes_px = rng.choice(boxes_px, MOST_OBJECTS, replace=False)
    return boxes_px


def _mutant(trial: _Trial, rng: np.random.Generator) -> tuple[int, int, np.ndarray]:
    """Return a level, the number of one of its shapes, and a shape to replace it with."""
    levels, per_cell, _ = trial.shapes.shape
    number = int(rng.integers(per_cell))
    if rng.random() < _JUMP_SHARE:
        need = np.square(1 - trial.best) + 1e-9
        chosen = rng.choice(len(need), p=need / need.sum())
        shape = trial.sizes[chosen] * np.exp(rng.normal(0, _JUMP_SIGMA, 2))
        return int(trial.level_of[chosen]), number, shape
    level = int(rng.integers(levels))
    factors = np.exp(rng.normal(0, _STEP_SIGMA * rng.random(), 2))
    return level, number, trial.shapes[level, number] * factors


def _suits(shape: np.ndarray, level: int, grid: AnchorGrid) -> bool:
    """Whether a level may have a shape: its head sees only so much of the picture."""
    if (shape > grid.image_hw).any():
        return False
    strides = float(np.sqrt(shape.prod())) / 2 ** grid.levels[level]
    finest, coarsest = level == 0, level == len(grid.levels) - 1
    return (finest or strides >= _SMALLEST_STRIDES) and (coarsest or strides <= _LARGEST_STRIDES)
