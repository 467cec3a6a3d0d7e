"""What `edge-retina anchors` measures: fitted anchors beside squares and RetinaNet's nine."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from edge_retina.boxes.anchors import AnchorGrid, default_shapes, square_shapes
from edge_retina.boxes.coverage import AnchorCoverage, CoverageReport, best_iou, coverage_report
from edge_retina.boxes.fitting import (
    CurvePoint,
    FittedAnchors,
    coverage_curve,
    fit_anchors,
    held_out_coverage,
    knee,
)
from edge_retina.boxes.square_reach import SquareCoverage, square_coverage
from edge_retina.config import Config
from edge_retina.datasets import load_dataset
from edge_retina.datasets.objects import boxes_at_input, object_classes
from edge_retina.datasets.subset import draw_subset
from edge_retina.input_pipeline.anchor_objects import (
    drawn_objects,
    held_out_objects,
    number_of_draws,
)


@dataclass(frozen=True)
class AnchorComparison:
    """How three kinds of anchors cover the objects of a data set.

    Attributes:
        fitted: anchors by k-means, with the number of objects of each shape.
        grids: all anchors by kind: "fitted", "square", "default".
        reports: by kind, of the training split's objects as they stand in the files.
        drawn: by kind, of the boxes that were fitted to, as training draws them.
        draws: training images that these are of.
        held_out: by kind, of objects as in the files that no anchors were fitted to.
        held_out_name: what these are.
        square: how the boxes, as drawn, are reached by the squares.
        curve: coverage of the boxes as drawn, and held out, by 1 to 9 fitted anchors per cell.
    """

    fitted: FittedAnchors
    grids: dict[str, AnchorGrid]
    reports: dict[str, CoverageReport]
    drawn: dict[str, AnchorCoverage]
    draws: int
    held_out: dict[str, AnchorCoverage]
    held_out_name: str
    square: SquareCoverage
    curve: tuple[CurvePoint, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts and lists, for JSON."""
        return {
            **{name: self._kind(name) for name in self.grids},
            "curve": [point.to_dict() for point in self.curve],
            "recommended_per_cell": knee(self.curve),
            "draws": self.draws,
            "held_out_objects": self.held_out_name,
            "square_reach": self.square.to_dict(),
        }

    def _kind(self, name: str) -> dict[str, Any]:
        tree = dataclasses.asdict(self.reports[name])
        more: dict[str, Any] = {
            "as_drawn": self.drawn[name].to_dict(),
            "held_out": self.held_out[name].to_dict(),
        }
        if name == "fitted":
            more["shape_objects"] = self.fitted.objects
        return {"shapes": self.grids[name].shapes, **tree.pop("overall"), **tree, **more}


def compare_anchors(
    config: Config, *, with_curve: bool, with_held_out_curve: bool
) -> AnchorComparison:
    """Fit anchors to the training split of a config's data and measure them beside others.

    Args:
        config: the training that is to come.
        with_curve: measure 1 to 9 fitted anchors per cell too; takes some seconds.
        with_held_out_curve: measure these on held-out objects too; up to six times as long.

    Raises:
        DatasetError: the data set can't be read, or has no such split.
    """
    model, data = config.model, config.data
    dataset = load_dataset(data.path, skip_invalid=data.skip_invalid, seed=config.seed)
    train = draw_subset(dataset.split(data.train_split), data.train_images, seed=config.seed)
    how: dict[str, Any] = {
        "image_hw": model.image_hw,
        "levels": model.levels,
        "evolve": config.anchors.evolve,
        "seed": config.seed,
    }
    draw: dict[str, Any] = {
        "image_hw": model.image_hw,
        "settings": config.augmentation,
        "seed": config.seed,
    }
    drawn = drawn_objects(train, **draw)
    others = dataset.splits.get(data.val_split, ())
    held_out = held_out_objects(train, drawn, others, other_name=data.val_split, **draw)
    fitted = fit_anchors(drawn, per_cell=config.anchors.per_cell, **how)
    squares: dict[str, Any] = {
        "strides": config.anchors.square_strides,
        "scales": config.anchors.square_scales,
    }
    fixed = {
        "square": square_shapes(model.levels, **squares),
        "default": default_shapes(model.levels),
    }
    grids = {
        "fitted": fitted.grid,
        **{name: AnchorGrid(model.image_hw, model.min_level, some) for name, some in fixed.items()},
    }
    boxes, classes = boxes_at_input(train, model.image_hw), object_classes(train)
    return AnchorComparison(
        fitted=fitted,
        grids=grids,
        reports={
            name: coverage_report(grid, boxes, classes, dataset.labels)
            for name, grid in grids.items()
        },
        drawn={
            name: AnchorCoverage.of(best_iou(grid, drawn.boxes_px)) for name, grid in grids.items()
        },
        draws=number_of_draws(len(train)),
        held_out={
            "fitted": held_out_coverage(held_out, per_cell=config.anchors.per_cell, **how),
            **{name: AnchorCoverage.of(best_iou(grids[name], held_out.boxes_px)) for name in fixed},
        },
        held_out_name=held_out.name,
        square=square_coverage(
            drawn.boxes_px, image_hw=model.image_hw, levels=model.levels, **squares
        ),
        curve=coverage_curve(drawn, held_out=held_out if with_held_out_curve else None, **how)
        if with_curve
        else (),
    )
