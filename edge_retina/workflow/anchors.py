"""Anchors of a data set: chosen, and measured at the network's input size."""

from __future__ import annotations

from collections.abc import Sequence

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.boxes.coverage import AnchorCoverage, best_iou, count_positives
from edge_retina.boxes.sources import choose_anchors
from edge_retina.config import Config
from edge_retina.datasets import Example
from edge_retina.datasets.objects import boxes_at_input


def resolve_anchors(config: Config, train: Sequence[Example]) -> AnchorGrid:
    """Return the anchors of a config: its own, or those of `anchors.kind`."""
    model = config.model
    return choose_anchors(
        lambda: boxes_at_input(train, model.image_hw),
        image_hw=model.image_hw,
        levels=model.levels,
        settings=config.anchors,
        seed=config.seed,
    )


def anchor_coverage(grid: AnchorGrid, examples: Sequence[Example]) -> AnchorCoverage:
    """Measure how anchors cover the objects of `examples` at the network's input."""
    boxes = boxes_at_input(examples, grid.image_hw)
    return AnchorCoverage.of(best_iou(grid, boxes), count_positives(grid, boxes))
