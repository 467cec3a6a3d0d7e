"""Checks of how well anchors cover the objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_retina.boxes.anchors import AnchorGrid, Shape, default_shapes, size_text, square_shapes
from edge_retina.boxes.coverage import AnchorCoverage, best_iou
from edge_retina.boxes.evolution import MOST_OBJECTS
from edge_retina.boxes.fitting import CurvePoint, coverage_curve, fit_anchors, held_out_coverage
from edge_retina.boxes.samples import BoxSample, HeldOut
from edge_retina.boxes.square_reach import SquareCoverage, square_coverage
from edge_retina.datasets.example_table import ExampleTable
from edge_retina.datasets.objects import boxes_at_input, has_objects
from edge_retina.datasets.schema import Example
from edge_retina.doctor.data.survey import Survey
from edge_retina.doctor.findings import Case, Finding, Kind
from edge_retina.input_pipeline.anchor_objects import drawn_objects, held_out_objects

_ENOUGH_RECALL = 0.95  # one object in twenty without an anchor shows in the metrics
WORST_SHOWN = 12

Shapes = tuple[tuple[Shape, ...], ...]  # by level

POOR_DEFAULT = Kind(
    "default-anchors-miss",
    "note",
    "Objects that no RetinaNet default anchor matches at IoU 0.5",
    "an object that no anchor matches is trained only through its single best anchor, if at all",
    "use other anchors (anchors.kind); see the advice",
)
POOR_FITTED = Kind(
    "fitted-anchors-miss",
    "warning",
    "Objects that no fitted anchor matches at IoU 0.5",
    "an object that no anchor matches is trained only through its single best anchor, if at all",
    "raise anchors.per_cell or model.image_hw; see the advice",
)


@dataclass(frozen=True)
class WorstObject:
    """An object and its IoU with the best fitted anchor."""

    example: Example
    index: int
    iou: float


@dataclass(frozen=True)
class AnchorStudy:
    """How well sets of anchors cover the objects at one input size.

    Attributes:
        image_hw: height and width of the input in pixels.
        levels: feature levels, finest first.
        shapes: by name of the set ("default", "square", "fitted", "configured"), shapes by level.
        coverage: by name of the set, of the objects of all splits as they stand in the files.
        drawn: by name of the set, of the training split's objects as training draws them, which
            anchors are fitted to.
        held_out: by name of the set, of objects as they stand in the files that no anchors were
            fitted to.
        held_out_name: what those objects are.
        square: how the training split's objects, as training draws them, are reached by squares.
        fitted_objects: by level and fitted shape, how many objects it was fitted to.
        curve: coverage of the training split, as drawn, by 1 to 9 fitted anchors per cell; its knee
            is also what `edge-retina anchors --curve` recommends.
        worst: the objects that the fitted anchors cover worst.
        objects: what anchors were fitted to, and the objects kept apart.
    """

    image_hw: tuple[int, int]
    levels: tuple[int, ...]
    shapes: dict[str, Shapes]
    coverage: dict[str, AnchorCoverage]
    drawn: dict[str, AnchorCoverage]
    held_out: dict[str, AnchorCoverage]
    held_out_name: str
    square: SquareCoverage
    fitted_objects: tuple[tuple[int, ...], ...]
    curve: tuple[CurvePoint, ...]
    worst: tuple[WorstObject, ...]
    objects: tuple[BoxSample, HeldOut]


def study_anchors(
    survey: Survey,
    image_hw: tuple[int, int],
    *,
    levels: tuple[int, ...] | None = None,
    objects: tuple[BoxSample, HeldOut] | None = None,
) -> AnchorStudy:
    """Fit anchors to the training split and measure them on the objects of all splits.

    Args:
        survey: the data set.
        image_hw: height and width of the network input in pixels.
        levels: feature levels; by default the config's.
        objects: of `anchor_objects` at this size; drawn if they are not given.
    """
    config = survey.config
    levels = levels or config.model.levels
    how: dict[str, Any] = {"image_hw": image_hw, "levels": levels, "seed": config.seed}
    fit: dict[str, Any] = {
        "per_cell": config.anchors.per_cell,
        "evolve": config.anchors.evolve,
        **how,
    }
    drawn, held_out = objects or anchor_objects(survey, image_hw)
    found = fit_anchors(drawn, **fit)
    squares: dict[str, Any] = {
        "strides": config.anchors.square_strides,
        "scales": config.anchors.square_scales,
    }
    sets = {
        "default": default_shapes(levels),
        "square": square_shapes(levels, **squares),
        "fitted": found.grid.shapes,
    }
    if len(config.anchors.shapes) == len(levels):
        sets["configured"] = config.anchors.shapes
    grids = {name: AnchorGrid(image_hw, levels[0], shapes) for name, shapes in sets.items()}
    boxes = boxes_at_input(survey.usable, image_hw)
    best = {name: best_iou(grid, boxes) for name, grid in grids.items()}
    others = held_out.boxes_px
    return AnchorStudy(
        image_hw=image_hw,
        levels=levels,
        shapes=sets,
        coverage={name: AnchorCoverage.of(iou) for name, iou in best.items()},
        drawn={
            name: AnchorCoverage.of(best_iou(grid, drawn.boxes_px)) for name, grid in grids.items()
        },
        held_out={
            name: held_out_coverage(held_out, **fit)
            if name == "fitted"
            else AnchorCoverage.of(best_iou(grid, others))
            for name, grid in grids.items()
        },
        held_out_name=held_out.name,
        square=square_coverage(drawn.boxes_px, image_hw=image_hw, levels=levels, **squares),
        fitted_objects=found.objects,
        curve=coverage_curve(drawn, **how),
        worst=_worst(survey.usable, best["fitted"]),
        objects=(drawn, held_out),
    )


def anchor_objects(survey: Survey, image_hw: tuple[int, int]) -> tuple[BoxSample, HeldOut]:
    """Return the objects to fit to at an input size, and others; a sample of each will do here."""
    config = survey.config
    train = survey.training
    if not has_objects(train):
        train = survey.usable
    how: dict[str, Any] = {
        "image_hw": image_hw,
        "settings": config.augmentation,
        "seed": config.seed,
    }
    name = config.data.val_split
    drawn = drawn_objects(train, **how).at_most(MOST_OBJECTS, seed=config.seed)
    other = survey.examples.get(name, ())
    return drawn, held_out_objects(train, drawn, other, other_name=name, **how).at_most(
        MOST_OBJECTS, seed=config.seed
    )


def check_anchors(study: AnchorStudy) -> list[Finding]:
    """Return all findings about anchors."""
    findings = []
    for kind, name in ((POOR_DEFAULT, "default"), (POOR_FITTED, "fitted")):
        item = study.coverage[name]
        if item.objects and item.best_possible_recall < _ENOUGH_RECALL:
            missed = round((1 - item.best_possible_recall) * item.objects)
            case = Case(
                f"{name} anchors, {len(study.shapes[name][0])} per cell, "
                f"{size_text(study.image_hw)} px",
                f"best possible recall {item.best_possible_recall:.3f}, mean best IoU "
                f"{item.mean_best_iou:.3f}, of {item.objects} objects",
            )
            findings += kind.found([case], count=missed)
    return findings


def _worst(examples: ExampleTable, iou: np.ndarray) -> tuple[WorstObject, ...]:
    """Return the objects with the lowest of `iou` (N,), ignored ones left out, the worst first."""
    order = np.argsort(iou, kind="stable")[:WORST_SHOWN]
    objects = np.flatnonzero(~examples.ignored)[order]
    owners = examples.owners[objects].tolist()
    first = np.cumsum(examples.counts) - examples.counts
    return tuple(
        WorstObject(examples[owner], int(number - first[owner]), float(iou[index]))
        for index, number, owner in zip(order, objects, owners, strict=True)
    )
