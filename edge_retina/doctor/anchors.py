"""Checks of how well anchors cover the objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_retina.boxes.anchors import AnchorGrid, Shape, default_shapes
from edge_retina.boxes.kmeans import fit_shapes
from edge_retina.config import Config
from edge_retina.datasets.schema import Example
from edge_retina.doctor.findings import Case, Finding, Kind
from edge_retina.doctor.survey import Survey

# Medians of clusters of so many objects are known to a few hundredths of their size; the fit that
# goes into a config (`edge-retina anchors`) takes all of them.
_FITTED_OBJECTS = 5000
_CURVE = (1, 2, 3, 4, 6, 9)
_ENOUGH_RECALL = 0.95  # one object in twenty without an anchor is what a metric shows
# A smaller set that is nearly as good is the better one for a phone: within a point of the best
# recall, and near enough in IoU that the box head has no more than small corrections to learn.
_KNEE_RECALL = 0.01
_KNEE_IOU = 0.05
WORST_SHOWN = 12

Shapes = tuple[tuple[Shape, ...], ...]  # by level

POOR_DEFAULT = Kind(
    "default-anchors-miss",
    "note",
    "Objects that no RetinaNet default anchor matches (IoU 0.5)",
    "an object without an anchor is trained through its one best anchor only, if at all",
    "use fitted anchors (anchors.fit = true, the default)",
)
POOR_FITTED = Kind(
    "fitted-anchors-miss",
    "warning",
    "Objects that no fitted anchor matches (IoU 0.5)",
    "an object without an anchor is trained through its one best anchor only, if at all",
    "raise anchors.per_cell or model.image_size; see the advice",
)


@dataclass(frozen=True)
class Coverage:
    """What a set of anchors can find of all objects.

    Attributes:
        objects: how many there are.
        best_possible_recall: share of objects with an anchor of IoU >= 0.5.
        recall_at_40: the same at IoU >= 0.4.
        mean_best_iou: mean over objects of the best IoU with any anchor.
    """

    objects: int
    best_possible_recall: float
    recall_at_40: float
    mean_best_iou: float


@dataclass(frozen=True)
class WorstObject:
    """An object and the IoU of the fitted anchor that suits it best."""

    example: Example
    index: int
    iou: float


@dataclass(frozen=True)
class AnchorStudy:
    """Anchor sets held against the objects, at one input size.

    Attributes:
        image_size: side of the input in pixels.
        levels: feature levels, finest first.
        shapes: by name of the set ("default", "fitted", "configured"), shapes by level.
        coverage: by name of the set.
        curve: by shapes a cell, the coverage of as many fitted ones.
        worst: the objects that the fitted anchors cover worst.
    """

    image_size: int
    levels: tuple[int, ...]
    shapes: dict[str, Shapes]
    coverage: dict[str, Coverage]
    curve: dict[int, Coverage]
    worst: tuple[WorstObject, ...]

    @property
    def knee(self) -> int:
        """The fewest shapes a cell that are within a point of recall and .05 of IoU of the best."""
        recall = max(item.best_possible_recall for item in self.curve.values()) - _KNEE_RECALL
        iou = max(item.mean_best_iou for item in self.curve.values()) - _KNEE_IOU
        return min(
            count
            for count, item in self.curve.items()
            if item.best_possible_recall >= recall and item.mean_best_iou >= iou
        )


def study_anchors(
    survey: Survey, image_size: int, *, levels: tuple[int, ...] | None = None
) -> AnchorStudy:
    """Fit anchors to the training split and measure them on the objects of all splits.

    Args:
        survey: the data set.
        image_size: side of the network input in pixels.
        levels: feature levels; by default the config's.
    """
    config = survey.config
    levels = levels or config_levels(config)
    boxes = _boxes(survey.usable, image_size)
    shapes_hw = _shapes_of(survey.training, image_size, config.seed)

    def cover(shapes: Shapes) -> Coverage:
        return _summary(best_iou(AnchorGrid(image_size, levels[0], shapes), boxes))

    fitted = {
        count: fit_shapes(shapes_hw, levels, per_cell=count, seed=config.seed)
        for count in sorted({*_CURVE, config.anchors.per_cell})
    }
    sets = {"default": default_shapes(levels), "fitted": fitted[config.anchors.per_cell]}
    if len(config.anchors.shapes) == len(levels):
        sets["configured"] = config.anchors.shapes
    return AnchorStudy(
        image_size=image_size,
        levels=levels,
        shapes=sets,
        coverage={name: cover(shapes) for name, shapes in sets.items()},
        curve={count: cover(shapes) for count, shapes in fitted.items()},
        worst=_worst(survey.usable, AnchorGrid(image_size, levels[0], sets["fitted"]), boxes),
    )


def best_iou(grid: AnchorGrid, boxes: np.ndarray) -> np.ndarray:
    """Return for each of `boxes` (N, 4) in input pixels the best IoU (N,) with any anchor.

    Of all anchors of one shape the one with the nearest centre overlaps most, whatever the shape,
    so only that one is looked at: the result is that of comparing with all of them, for a million
    objects in seconds.
    """
    centres, sizes = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    best = np.zeros(len(boxes))
    for level, shapes in zip(grid.levels, grid.shapes, strict=True):
        stride = 2**level
        cell = np.clip(np.floor(centres / stride), 0, grid.cells(level) - 1)
        offset = np.abs(centres - (cell + 0.5) * stride)
        for shape in np.array(shapes, np.float64):
            # Overlap of two intervals of lengths a and b whose centres are d apart
            reach = (sizes + shape) / 2 - offset
            common = np.clip(np.minimum(reach, np.minimum(sizes, shape)), 0, None).prod(axis=1)
            best = np.maximum(best, common / (sizes.prod(axis=1) + shape.prod() - common))
    return best


def check_anchors(study: AnchorStudy) -> list[Finding]:
    """Return all findings about anchors."""
    findings = []
    for kind, name in ((POOR_DEFAULT, "default"), (POOR_FITTED, "fitted")):
        item = study.coverage[name]
        if item.objects and item.best_possible_recall < _ENOUGH_RECALL:
            missed = round((1 - item.best_possible_recall) * item.objects)
            case = Case(
                f"{name} anchors, {len(study.shapes[name][0])} a cell, {study.image_size} px",
                f"best possible recall {item.best_possible_recall:.3f}, mean best IoU "
                f"{item.mean_best_iou:.3f}, of {item.objects} objects",
            )
            findings += kind.found([case], count=missed)
    return findings


def config_levels(config: Config) -> tuple[int, ...]:
    """Return the feature levels of a config, finest first."""
    return tuple(range(config.model.min_level, config.model.max_level + 1))


def _shapes_of(examples: Sequence[Example], image_size: int, seed: int) -> np.ndarray:
    boxes = _boxes(examples, image_size)
    shapes = boxes[:, 2:] - boxes[:, :2]
    if len(shapes) <= _FITTED_OBJECTS:
        return shapes
    return np.random.default_rng(seed).choice(shapes, _FITTED_OBJECTS, replace=False)


def _boxes(examples: Sequence[Example], image_size: int) -> np.ndarray:
    """Return all boxes (N, 4) in input pixels, crowds left out."""
    size = (image_size, image_size)
    boxes = [item.boxes_at(size)[~item.crowd] for item in examples]
    return np.concatenate([*boxes, np.zeros((0, 4), np.float32)]).astype(np.float64)


def _summary(iou: np.ndarray) -> Coverage:
    if not len(iou):
        return Coverage(0, 0.0, 0.0, 0.0)
    return Coverage(
        objects=len(iou),
        best_possible_recall=float((iou >= 0.5).mean()),
        recall_at_40=float((iou >= 0.4).mean()),
        mean_best_iou=float(iou.mean()),
    )


def _worst(
    examples: Sequence[Example], grid: AnchorGrid, boxes: np.ndarray
) -> tuple[WorstObject, ...]:
    iou = best_iou(grid, boxes)
    places = [
        (example, int(index)) for example in examples for index in np.flatnonzero(~example.crowd)
    ]
    order = np.argsort(iou, kind="stable")[:WORST_SHOWN]
    return tuple(WorstObject(places[i][0], places[i][1], float(iou[i])) for i in order)
