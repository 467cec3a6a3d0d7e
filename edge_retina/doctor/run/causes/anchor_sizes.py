"""Anchors that don't fit the objects."""

from __future__ import annotations

import numpy as np

from edge_retina.boxes.anchors import AnchorGrid, square_shapes
from edge_retina.boxes.coverage import best_iou
from edge_retina.boxes.fitting import fit_anchors
from edge_retina.boxes.iou import mean_sides
from edge_retina.boxes.samples import BoxSample
from edge_retina.boxes.square_reach import square_coverage
from edge_retina.doctor.data.advice.network import SQUARE_MISSES
from edge_retina.doctor.run.evidence import DATA, RunEvidence
from edge_retina.doctor.run.suspicion import Cause, Judgement, Mend

_NEAR_IOU = 0.4
_LOST = 0.1  # share of the objects that other anchors would reach
# Of losing all objects, by whether fixed thresholds decide. ATSS and dynamic_k go by the place too:
# with squares four times too large, which reach no chess piece, they lost 7 points.
_COST = {True: 0.5, False: 0.12}
_SQUARE, _FITTED = "anchors.kind=square", "anchors.kind=fitted"
_MOST = 4000  # objects that are looked at


def judge(run: RunEvidence) -> Judgement | None:
    """Suspect the anchors if others would come near many more objects."""
    assert run.grid is not None
    boxes = run.drawn_px[:_MOST]
    if not len(boxes):
        return None
    own = best_iou(run.grid, boxes)
    others = {_SQUARE: _squares(run.grid)}
    # Fitted shapes always reach more. They are worth it where squares can't reach the objects at
    # all; else ATSS and dynamic_k go by the place (benchmarks/results/recipe.md).
    if _too_long(run.grid, boxes) > SQUARE_MISSES:
        others[_FITTED] = _fitted(run, boxes)
    reach = {name: _near(best_iou(grid, boxes)) for name, grid in others.items()}
    setting = max(reach, key=lambda name: reach[name])
    lost = reach[setting] - _near(own)
    if lost < _LOST:
        return None
    sides = mean_sides(boxes).clip(1e-3)
    ratio = float(np.median(_anchor_sides(run.grid, sides) / sides))
    more = ("matching.assigner=max_iou",) if setting == _FITTED else ()
    usual = ("anchors.square_strides=4",) if setting == _SQUARE else ()
    own_shapes = ("anchors.shapes=[]",) if run.config.anchors.shapes else ()
    return Judgement(
        (
            f"{_near(own):.0%} of the objects, as training draws them, have an anchor of IoU .4; "
            f"{reach[setting]:.0%} would have one with {setting}",
            f"the nearest anchor's side is {ratio:.1f} times that of the object (median)",
            *_forced(run),
        ),
        lost * _COST[run.config.matching.assigner == "max_iou"],
        Mend("choose other anchors", (setting, *own_shapes, *usual, *more)),
    )


def _forced(run: RunEvidence) -> tuple[str, ...]:
    """Return what the training log says, if it does."""
    if run.log is None or not run.log.has("forced"):
        return ()
    share = run.log.at_end("forced") / max(run.log.at_end("positives"), 1e-9)
    return (
        f"{share:.0%} of the positive anchors overlapped their object by less than IoU .4 in "
        "training",
    )


def _too_long(grid: AnchorGrid, boxes: np.ndarray) -> float:
    """Return the share of boxes that are too long for any square."""
    return square_coverage(boxes, image_hw=grid.image_hw, levels=grid.levels).too_long


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


def _anchor_sides(grid: AnchorGrid, sides: np.ndarray) -> np.ndarray:
    """Return the side of the anchor shape (N,) that is nearest to each box's side (N,)."""
    own = np.sqrt([h * w for shapes in grid.shapes for h, w in shapes])
    nearest = np.abs(np.log(own[None] / sides[:, None])).argmin(axis=1)
    return np.asarray(own[nearest])


ANCHORS = Cause("anchors", "The anchors don't fit the objects", "fit", (DATA,), judge)
