"""Anchors of a data set: fitted, and measured at the network's input size."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from edge_retina.boxes.anchors import AnchorGrid, default_shapes
from edge_retina.boxes.coverage import AnchorCoverage, measure_coverage
from edge_retina.boxes.kmeans import fit_shapes
from edge_retina.config import Config
from edge_retina.datasets import Example


def resolve_anchors(config: Config, train: Sequence[Example]) -> Config:
    """Return the config with anchor shapes in it: its own, fitted ones, or the defaults."""
    if config.anchors.shapes:
        return config
    levels = tuple(range(config.model.min_level, config.model.max_level + 1))
    if config.anchors.fit:
        boxes = np.concatenate(boxes_at_input(train, config.model.image_size))
        shapes = fit_shapes(
            boxes[:, 2:] - boxes[:, :2],
            levels,
            per_cell=config.anchors.per_cell,
            seed=config.seed,
        )
    else:
        shapes = default_shapes(levels)
    return config.replace(anchors=dataclasses.replace(config.anchors, shapes=shapes))


def anchor_coverage(
    shapes: tuple[tuple[tuple[float, float], ...], ...],
    examples: Sequence[Example],
    *,
    image_size: int,
    min_level: int,
) -> AnchorCoverage:
    """Measure how anchors of `shapes` cover the objects of `examples` at the network's input."""
    grid = AnchorGrid(image_size, min_level, shapes)
    return measure_coverage(grid.boxes_px(), boxes_at_input(examples, image_size))


def boxes_at_input(examples: Sequence[Example], image_size: int) -> list[np.ndarray]:
    """Return each picture's boxes (G, 4), crowds left out, in pixels of the network input."""
    size = (image_size, image_size)
    return [example.boxes_at(size)[~example.crowd] for example in examples]
