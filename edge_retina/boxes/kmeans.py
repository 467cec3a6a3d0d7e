"""Anchor shapes from the data: k-means over box shapes with the distance 1 - IoU."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edge_retina.boxes.anchors import Shape, square_shapes
from edge_retina.boxes.iou import shape_iou

# An object belongs to the level whose stride is about a quarter of its side, as in RetinaNet.
_SIDE_IN_STRIDES = 4.0


# Below that the median of a cluster's sides follows single objects: its standard error is
# 1.25 sigma / sqrt(n), of 10 objects still 40 % of their spread.
MIN_OBJECTS = 10
# Starts are compared on so many shapes, the best one is finished on all of them.
_COMPARED_ON = 1000


@dataclass(frozen=True)
class FittedShapes:
    """Shapes for every level, and what they were fitted to.

    Attributes:
        shapes: by level, (height, width) pairs in pixels, smallest area first; equally many.
        objects: by level and shape, the number of objects that the shape is the median of; 0 for a
            filler, which is there because all levels need equally many.
    """

    shapes: tuple[tuple[Shape, ...], ...]
    objects: tuple[tuple[int, ...], ...]

    @property
    def per_cell(self) -> int:
        """Shapes for each level."""
        return len(self.shapes[0])


def fit_shapes(
    shapes_hw: np.ndarray,
    levels: tuple[int, ...],
    *,
    per_cell: int,
    boxes_per_object: float = 1.0,
    seed: int = 0,
) -> FittedShapes:
    """Choose up to `per_cell` anchor shapes for every level.

    Objects go to a level by size first and are clustered within it, so that a common size can't
    draw all shapes of the network to itself. A level is given fewer clusters until each holds
    `MIN_OBJECTS` objects. The network has as many shapes per cell as the level with the most
    clusters; the other levels are filled up with the shapes of their nearest better neighbour,
    scaled by the ratio of the strides: those that differ most from what the level has.

    Args:
        shapes_hw: (N, 2) heights and widths in pixels at the network input.
        levels: feature levels, finest first.
        per_cell: shapes for each level, at most.
        boxes_per_object: how often an object is among `shapes_hw`, on average, each time changed;
            several copies of one object are no evidence for a shape of their own.
        seed: of the k-means starts.
    """
    shapes_hw = np.asarray(shapes_hw, np.float64)
    shapes_hw = shapes_hw[(shapes_hw > 0).all(axis=1)]
    level_of = nearest_level(shapes_hw, levels)
    rng = np.random.default_rng(seed)
    fitted: dict[int, _Clusters] = {}
    for level in levels:
        members = shapes_hw[level_of == level]
        clusters = _carried_clusters(
            members, per_cell, fewest=MIN_OBJECTS * max(boxes_per_object, 1), rng=rng
        )
        if clusters is not None:
            fitted[level] = clusters
    if not fitted:
        return FittedShapes(_few_objects(shapes_hw, levels), ((0,),) * len(levels))
    filled = [_filled(fitted, level) for level in levels]
    return FittedShapes(
        tuple(_rounded(clusters.centres) for clusters in filled),
        tuple(
            tuple(round(count / boxes_per_object) for count in clusters.sizes)
            for clusters in filled
        ),
    )


@dataclass(frozen=True)
class _Clusters:
    """Clusters of one level: centres (K, 2), smallest area first, and sizes (K,)."""

    centres: np.ndarray
    sizes: np.ndarray


def _carried_clusters(
    shapes_hw: np.ndarray, most: int, *, fewest: float, rng: np.random.Generator
) -> _Clusters | None:
    """Return as many clusters, up to `most`, as all hold `fewest` shapes; None if not even one."""
    distinct = len(np.unique(shapes_hw, axis=0))
    for number in range(min(most, distinct, int(len(shapes_hw) / fewest)), 0, -1):
        centres = kmeans_shapes(shapes_hw, number, rng=rng)
        nearest = shape_iou(shapes_hw, centres).argmax(axis=1)
        sizes = np.bincount(nearest, minlength=number)
        if sizes.min() >= fewest:
            return _Clusters(centres, sizes)
    return None


def _filled(fitted: Mapping[int, _Clusters], level: int) -> _Clusters:
    """Return a level's clusters, filled up to the number of the level that has the most."""
    most = max(len(clusters.sizes) for clusters in fitted.values())
    own = fitted.get(level, _Clusters(np.zeros((0, 2)), np.zeros(0, int)))
    whole = [known for known, clusters in fitted.items() if len(clusters.sizes) == most]
    source = min(whole, key=lambda known: (abs(known - level), known))
    offered = fitted[source].centres * 2.0 ** (level - source)
    centres = own.centres
    while len(centres) < most:
        near = shape_iou(offered, centres).max(axis=1, initial=0)
        centres = np.concatenate([centres, offered[[near.argmin()]]])
    sizes = np.concatenate([own.sizes, np.zeros(most - len(own.sizes), int)])
    order = np.argsort(centres.prod(axis=1), kind="stable")
    return _Clusters(centres[order], sizes[order])


def nearest_level(shapes_hw: np.ndarray, levels: tuple[int, ...]) -> np.ndarray:
    """Return for each shape (N, 2) the level (N,) whose stride suits its size."""
    sides = np.sqrt(np.asarray(shapes_hw, np.float64).prod(axis=1))
    ideal = np.log2(np.maximum(sides, 1e-6) / _SIDE_IN_STRIDES)
    return np.clip(np.rint(ideal), levels[0], levels[-1]).astype(int)


def kmeans_shapes(
    shapes_hw: np.ndarray, clusters: int, *, rng: np.random.Generator, restarts: int = 5
) -> np.ndarray:
    """Cluster shapes (N, 2) with distance 1 - IoU; best of several k-means++ starts.

    Of more than 1,000 shapes, the starts run on 1,000 at random; the best one goes on with all.

    Returns:
        (clusters, 2) heights and widths, smallest area first.

    Source: Redmon & Farhadi, YOLO9000 (2016), section 2. Deviation: the centre of a cluster is its
    median, which is nearer to the IoU optimum than the mean and ignores stray boxes.
    """
    few = shapes_hw
    if len(few) > _COMPARED_ON:
        few = rng.choice(shapes_hw, _COMPARED_ON, replace=False)
    best, best_iou = few[:clusters], -1.0
    for _ in range(restarts):
        centres = _lloyd(few, _plus_plus(few, clusters, rng))
        mean_iou = float(shape_iou(few, centres).max(axis=1).mean())
        if mean_iou > best_iou:
            best, best_iou = centres, mean_iou
    if len(few) < len(shapes_hw):
        best = _lloyd(shapes_hw, best)
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


def _few_objects(shapes_hw: np.ndarray, levels: tuple[int, ...]) -> tuple[tuple[Shape, ...], ...]:
    """One shape per level where none carries any: RetinaNet's area and the median aspect ratio."""
    ratio = float(np.median(shapes_hw[:, 0] / shapes_hw[:, 1])) if len(shapes_hw) else 1.0
    sides = [of_level[0][0] for of_level in square_shapes(levels)]
    return tuple(
        _rounded(np.array([[side * math.sqrt(ratio), side / math.sqrt(ratio)]])) for side in sides
    )


def _rounded(shapes: np.ndarray) -> tuple[Shape, ...]:
    return tuple((round(float(h), 2), round(float(w), 2)) for h, w in shapes)
