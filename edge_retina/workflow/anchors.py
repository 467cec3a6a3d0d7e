"""Anchors of a run: fitted to its training split, measured at the network's input size."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from edge_retina.boxes.anchors import AnchorGrid, Shape, default_shapes
from edge_retina.boxes.coverage import AnchorCoverage, best_iou, count_positives
from edge_retina.boxes.fitting import fit_anchors
from edge_retina.config import Config
from edge_retina.datasets import Example
from edge_retina.datasets.objects import boxes_at_input


def resolve_anchors(config: Config, train: Sequence[Example]) -> Config:
    """Return the config with anchor shapes in it: its own, fitted ones, or the defaults."""
    if config.anchors.shapes:
        return config
    if config.anchors.fit:
        grid = fit_anchors(
            boxes_at_input(train, config.model.image_hw),
            image_hw=config.model.image_hw,
            levels=config.model.levels,
            per_cell=config.anchors.per_cell,
            evolve=config.anchors.evolve,
            seed=config.seed,
        )
        shapes = grid.shapes
    else:
        shapes = default_shapes(config.model.levels)
    return config.replace(anchors=dataclasses.replace(config.anchors, shapes=shapes))


def anchor_coverage(
    shapes: tuple[tuple[Shape, ...], ...],
    examples: Sequence[Example],
    *,
    image_hw: tuple[int, int],
    min_level: int,
) -> AnchorCoverage:
    """Measure how anchors of `shapes` cover the objects of `examples` at the network's input."""
    grid = AnchorGrid(image_hw, min_level, shapes)
    boxes = boxes_at_input(examples, image_hw)
    return AnchorCoverage.of(best_iou(grid, boxes), count_positives(grid, boxes))
