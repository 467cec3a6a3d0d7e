"""Anchors of a data set: fitted, and measured at the network's input size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_retina.boxes.anchors import AnchorGrid, default_shapes
from edge_retina.boxes.coverage import (
    AnchorCoverage,
    group_by_size,
    measure_coverage,
    measure_objects,
)
from edge_retina.boxes.fitting import fit_anchors
from edge_retina.config import Config
from edge_retina.datasets import Example


@dataclass(frozen=True)
class CoverageReport:
    """How anchors cover objects, as a whole and by kinds of object.

    Attributes:
        overall: all objects.
        by_class: by class name, classes without objects left out.
        by_size: by octave of the side at the network's input ("8-16": pixels), smallest first.
        positives_by_level: mean number of anchors with IoU >= 0.5 an object, by feature level.
    """

    overall: AnchorCoverage
    by_class: dict[str, AnchorCoverage]
    by_size: dict[str, AnchorCoverage]
    positives_by_level: dict[int, float]


def resolve_anchors(config: Config, train: Sequence[Example]) -> AnchorGrid:
    """Return the anchors of a config: its own, fitted ones, or the default ones."""
    model = config.model
    if config.anchors.shapes:
        return AnchorGrid(model.image_hw, model.min_level, config.anchors.shapes)
    levels = tuple(range(model.min_level, model.max_level + 1))
    if config.anchors.fit:
        return fit_anchors(
            np.concatenate(boxes_at_input(train, model.image_hw)),
            image_hw=model.image_hw,
            levels=levels,
            per_cell=config.anchors.per_cell,
            evolve=config.anchors.evolve,
            seed=config.seed,
        )
    return AnchorGrid(model.image_hw, model.min_level, default_shapes(levels))


def anchor_coverage(grid: AnchorGrid, examples: Sequence[Example]) -> AnchorCoverage:
    """Measure how anchors cover the objects of `examples` at the network's input."""
    return measure_coverage(grid.boxes_px(), boxes_at_input(examples, grid.image_hw))


def coverage_report(
    grid: AnchorGrid, examples: Sequence[Example], labels: tuple[str, ...]
) -> CoverageReport:
    """Measure how a grid covers the objects of `examples`, by class, size and level."""
    boxes = boxes_at_input(examples, grid.image_hw)
    objects = measure_objects(grid, boxes)
    sizes = group_by_size(np.concatenate([np.zeros((0, 4)), *boxes]))
    classes = np.concatenate(
        [np.zeros(0, int), *(example.classes[~example.ignored] for example in examples)]
    )
    return CoverageReport(
        overall=objects.summary(),
        by_class={
            label: objects.summary(classes == index)
            for index, label in enumerate(labels)
            if (classes == index).any()
        },
        by_size={name: objects.summary(chosen) for name, chosen in sizes.items()},
        positives_by_level=dict(zip(grid.levels, objects.positives_by_level(), strict=True)),
    )


def boxes_at_input(examples: Sequence[Example], image_hw: tuple[int, int]) -> list[np.ndarray]:
    """Return each image's boxes (G, 4) in pixels of the network input, ignored ones left out."""
    return [example.boxes_at(image_hw)[~example.ignored] for example in examples]
