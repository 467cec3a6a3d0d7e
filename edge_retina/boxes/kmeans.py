"""Anchor shapes from the data: k-means over box shapes with the distance 1 - IoU."""

from __future__ import annotations

import math

import numpy as np

from edge_retina.boxes.anchors import Shape, default_shapes
from edge_retina.boxes.iou import shape_iou

# An object belongs to the level whose stride is about a quarter of its side, as in RetinaNet.
_SIDE_IN_STRIDES = 4.0


def fit_shapes(
    shapes_hw: np.ndarray, levels: tuple[int, ...], *, per_cell: int, seed: int = 0
) -> tuple[tuple[Shape, ...], ...]:
    """Choose `per_cell` anchor shapes for every level.

    Objects go to a level by size first and are clustered within it, so that a common size can't
    draw all shapes of the network to itself. A level with fewer distinct objects than `per_cell`
    takes the shapes of its nearest better neighbour, scaled by the ratio of the strides.

    Args:
        shapes_hw: (N, 2) heights and widths of objects in pixels at the network input.
        levels: feature levels, finest first.
        per_cell: shapes for each level.
        seed: of the k-means starts.

    Returns:
        For each level, `per_cell` (height, width) pairs in pixels, smallest area first.
    """
    shapes_hw = np.asarray(shapes_hw, np.float64)
    shapes_hw = shapes_hw[(shapes_hw > 0).all(axis=1)]
    level_of = nearest_level(shapes_hw, levels)
    rng = np.random.default_rng(seed)
    fitted: dict[int, np.ndarray] = {}
    for level in levels:
        members = shapes_hw[level_of == level]
        if len(np.unique(members, axis=0)) >= max(per_cell, 2):
            fitted[level] = kmeans_shapes(members, per_cell, rng=rng)
    if not fitted:
        return _few_objects(shapes_hw, levels, per_cell)
    result = []
    for level in levels:
        source = min(fitted, key=lambda known: (abs(known - level), known))
        result.append(fitted[source] * 2.0 ** (level - source))
    return tuple(_rounded(shapes) for shapes in result)


def nearest_level(shapes_hw: np.ndarray, levels: tuple[int, ...]) -> np.ndarray:
    """Return for each shape (N, 2) the level (N,) whose stride suits its size."""
    sides = np.sqrt(np.asarray(shapes_hw, np.float64).prod(axis=1))
    ideal = np.log2(np.maximum(sides, 1e-6) / _SIDE_IN_STRIDES)
    return np.clip(np.rint(ideal), levels[0], levels[-1]).astype(int)


def kmeans_shapes(
    shapes_hw: np.ndarray, clusters: int, *, rng: np.random.Generator, restarts: int = 5
) -> np.ndarray:
    """Cluster shapes (N, 2) with distance 1 - IoU; best of several k-means++ starts.

    Returns:
        (clusters, 2) heights and widths, smallest area first.

    Source: Redmon & Farhadi, YOLO9000 (2016), section 2. Deviation: the centre of a cluster is its
    median, which is nearer to the IoU optimum than the mean and ignores stray boxes.
    """
    best, best_iou = shapes_hw[:clusters], -1.0
    for _ in range(restarts):
        centres = _lloyd(shapes_hw, _plus_plus(shapes_hw, clusters, rng))
        mean_iou = float(shape_iou(shapes_hw, centres).max(axis=1).mean())
        if mean_iou > best_iou:
            best, best_iou = centres, mean_iou
    return best[np.argsort(best.prod(axis=1))]


def _plus_plus(shapes_hw: np.ndarray, clusters: int, rng: np.random.Generator) -> np.ndarray:
    centres = shapes_hw[rng.integers(len(shapes_hw))][None]
    while len(centres) < clusters:
        distance = 1 - shape_iou(shapes_hw, centres).max(axis=1)
        weight = np.square(np.maximum(distance, 1e-9))
        pick = rng.choice(len(shapes_hw), p=weight / weight.sum())
        centres = np.concatenate([centres, shapes_hw[pick][None]])
    return centres


def _lloyd(shapes_hw: np.ndarray, centres: np.ndarray, *, max_rounds: int = 100) -> np.ndarray:
    nearest = np.full(len(shapes_hw), -1)
    for _ in range(max_rounds):
        now = shape_iou(shapes_hw, centres).argmax(axis=1)
        if (now == nearest).all():
            break
        nearest = now
        centres = np.stack(
            [
                np.median(shapes_hw[nearest == k], axis=0) if (nearest == k).any() else centres[k]
                for k in range(len(centres))
            ]
        )
    return centres


def _few_objects(
    shapes_hw: np.ndarray, levels: tuple[int, ...], per_cell: int
) -> tuple[tuple[Shape, ...], ...]:
    """Shapes for a data set too small to cluster: geometric steps with the median aspect ratio."""
    ratio = float(np.median(shapes_hw[:, 0] / shapes_hw[:, 1])) if len(shapes_hw) else 1.0
    base = np.array([default_shapes((level,))[0][1][0] for level in levels])
    steps = 2.0 ** (np.arange(per_cell) / per_cell)
    return tuple(
        _rounded(
            np.stack([side * steps * math.sqrt(ratio), side * steps / math.sqrt(ratio)], axis=1)
        )
        for side in base
    )


def _rounded(shapes: np.ndarray) -> tuple[Shape, ...]:
    return tuple((round(float(h), 2), round(float(w), 2)) for h, w in shapes)
