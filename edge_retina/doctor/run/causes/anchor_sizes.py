"""Anchors that don't fit the objects."""

from __future__ import annotations

import numpy as np

from edge_retina.boxes.anchors import AnchorGrid, square_shapes
from edge_retina.boxes.coverage import best_iou
from edge_retina.boxes.fitting import fit_anchors
from edge_retina.boxes.samples import BoxSample
from edge_retina.doctor.run.evidence import DATA, RunEvidence
from edge_retina.doctor.run.suspicion import Cause, Judgement, Mend

_NEAR_IOU = 0.4
# Share of the objects that other anchors would reach: squares, the usual ones, or fitted shapes,
# which ATSS and dynamic_k do without up to a point (benchmarks/results/recipe.md).
_LOST = {"anchors.kind=square": 0.1, "anchors.kind=fitted": 0.25}
_MOST = 4000  # objects that are looked at


def judge(run: RunEvidence) -> Judgement | None:
    """Suspect the anchors if others would come near many more objects."""
    assert run.grid is not None
    boxes = run.drawn_px[:_MOST]
    if not len(boxes):
        return None
    own = best_iou(run.grid, boxes)
    others = {
        "anchors.kind=square": _squares(run.grid),
        "anchors.kind=fitted": _fitted(run, boxes),
    }
    reach = {name: _near(best_iou(grid, boxes)) for name, grid in others.items()}
    gains = {name: near - _near(own) for name, near in reach.items()}
    enough = [name for name, gain in gains.items() if gain >= _LOST[name]]
    if not enough:
        return None
    setting = max(enough, key=lambda name: gains[name] - _LOST[name])
    lost = gains[setting]
    ratio = float(np.median(_anchor_sides(run.grid, boxes) / _sides(boxes)))
    more = ("matching.assigner=max_iou",) if setting == "anchors.kind=fitted" else ()
    usual = ("anchors.square_strides=4",) if setting == "anchors.kind=square" else ()
    own_shapes = ("anchors.shapes=[]",) if run.config.anchors.shapes else ()
    return Judgement(
        (
            f"{_near(own):.0%} of the objects, as training draws them, have an anchor of IoU .4; "
            f"{reach[setting]:.0%} would have one with {setting}",
            f"the nearest anchor's side is {ratio:.1f} times that of the object (median)",
        ),
        lost * 0.5,
        Mend("choose other anchors", (setting, *own_shapes, *usual, *more)),
    )


def _squares(grid: AnchorGrid) -> AnchorGrid:
    return AnchorGrid(grid.image_hw, grid.min_level, square_shapes(grid.levels))


def _fitted(run: RunEvidence, boxes: np.ndarray) -> AnchorGrid:
    model = run.config.model
    sample = BoxSample(boxes, len(run.objects_px))
    return fit_anchors(
        sample,
        per_cell=4,
        evolve=0,
        image_hw=model.image_hw,
        levels=model.levels,
        seed=run.config.seed,
    ).grid


def _near(iou: np.ndarray) -> float:
    return float((iou >= _NEAR_IOU).mean())


def _anchor_sides(grid: AnchorGrid, boxes: np.ndarray) -> np.ndarray:
    """Return the side of the anchor shape (N,) that is nearest to each box in size."""
    sides = np.sqrt([h * w for shapes in grid.shapes for h, w in shapes])
    nearest = np.abs(np.log(sides[None] / _sides(boxes)[:, None])).argmin(axis=1)
    return np.asarray(sides[nearest])


def _sides(boxes: np.ndarray) -> np.ndarray:
    return np.sqrt((boxes[:, 2:].astype(float) - boxes[:, :2]).clip(1e-3).prod(axis=1))


ANCHORS = Cause("anchors", "The anchors don't fit the objects", "fit", (DATA,), judge)
