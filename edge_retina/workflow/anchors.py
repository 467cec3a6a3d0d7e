"""Anchors of a data set: chosen, and measured at the network's input size."""

from __future__ import annotations

from collections.abc import Sequence

from edge_retina.boxes.anchors import AnchorGrid, default_shapes
from edge_retina.boxes.coverage import AnchorCoverage, best_iou, count_positives
from edge_retina.boxes.fitting import fit_anchors
from edge_retina.config import Config
from edge_retina.datasets import Example
from edge_retina.datasets.objects import boxes_at_input


def resolve_anchors(config: Config, train: Sequence[Example]) -> AnchorGrid:
    """Return the anchors of a config: its own, fitted ones, or the default ones."""
    model, anchors = config.model, config.anchors
    if anchors.fit and not anchors.shapes:
        return fit_anchors(
            boxes_at_input(train, model.image_hw),
            image_hw=model.image_hw,
            levels=model.levels,
            per_cell=anchors.per_cell,
            evolve=anchors.evolve,
            seed=config.seed,
        )
    return AnchorGrid(
        model.image_hw, model.min_level, anchors.shapes or default_shapes(model.levels)
    )


def anchor_coverage(grid: AnchorGrid, examples: Sequence[Example]) -> AnchorCoverage:
    """Measure how anchors cover the objects of `examples` at the network's input."""
    boxes = boxes_at_input(examples, grid.image_hw)
    return AnchorCoverage.of(best_iou(grid, boxes), count_positives(grid, boxes))
