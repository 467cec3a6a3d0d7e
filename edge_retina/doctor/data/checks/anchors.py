"""Checks of how well anchors cover the objects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_retina.boxes.anchors import AnchorGrid, Shape, default_shapes, size_text
from edge_retina.boxes.coverage import AnchorCoverage, best_iou
from edge_retina.boxes.fitting import CurvePoint, coverage_curve, fit_anchors, sample_boxes
from edge_retina.datasets.objects import boxes_at_input
from edge_retina.datasets.schema import Example
from edge_retina.doctor.data.survey import Survey
from edge_retina.doctor.findings import Case, Finding, Kind

_ENOUGH_RECALL = 0.95  # one object in twenty without an anchor shows in the metrics
WORST_SHOWN = 12

Shapes = tuple[tuple[Shape, ...], ...]  # by level

POOR_DEFAULT = Kind(
    "default-anchors-miss",
    "note",
    "Objects that no RetinaNet default anchor matches at IoU 0.5",
    "an object that no anchor matches is trained only through its single best anchor, if at all",
    "use fitted anchors (anchors.fit = true, the default)",
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
        shapes: by name of the set ("default", "fitted", "configured"), shapes by level.
        coverage: by name of the set.
        curve: coverage of the training split by 1 to 9 fitted anchors per cell; its knee is also
            what `edge-retina anchors --curve` recommends.
        worst: the objects that the fitted anchors cover worst.
    """

    image_hw: tuple[int, int]
    levels: tuple[int, ...]
    shapes: dict[str, Shapes]
    coverage: dict[str, AnchorCoverage]
    curve: tuple[CurvePoint, ...]
    worst: tuple[WorstObject, ...]


def study_anchors(
    survey: Survey, image_hw: tuple[int, int], *, levels: tuple[int, ...] | None = None
) -> AnchorStudy:
    """Fit anchors to the training split and measure them on the objects of all splits.

    Args:
        survey: the data set.
        image_hw: height and width of the network input in pixels.
        levels: feature levels; by default the config's.
    """
    config = survey.config
    levels = levels or config.model.levels
    boxes = boxes_at_input(survey.usable, image_hw)
    training = boxes_at_input(survey.training, image_hw)
    # A sample will do here; `edge-retina anchors` and training fit to all.
    fitted_to = sample_boxes(training if len(training) else boxes, seed=config.seed)
    fitted = fit_anchors(
        fitted_to,
        image_hw=image_hw,
        levels=levels,
        per_cell=config.anchors.per_cell,
        evolve=config.anchors.evolve,
        seed=config.seed,
    )
    sets = {"default": default_shapes(levels), "fitted": fitted.shapes}
    if len(config.anchors.shapes) == len(levels):
        sets["configured"] = config.anchors.shapes
    best = {
        name: best_iou(AnchorGrid(image_hw, levels[0], shapes), boxes)
        for name, shapes in sets.items()
    }
    return AnchorStudy(
        image_hw=image_hw,
        levels=levels,
        shapes=sets,
        coverage={name: AnchorCoverage.of(iou) for name, iou in best.items()},
        curve=coverage_curve(fitted_to, image_hw=image_hw, levels=levels, seed=config.seed),
        worst=_worst(survey.usable, best["fitted"]),
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


def _worst(examples: tuple[Example, ...], iou: np.ndarray) -> tuple[WorstObject, ...]:
    """Return the objects with the lowest of `iou` (N,), ignored ones left out, the worst first."""
    places = [
        (example, int(index)) for example in examples for index in np.flatnonzero(~example.ignored)
    ]
    order = np.argsort(iou, kind="stable")[:WORST_SHOWN]
    return tuple(WorstObject(places[i][0], places[i][1], float(iou[i])) for i in order)
