"""Boxes that are displaced."""

from __future__ import annotations

import numpy as np

from edge_retina.datasets.subset import spread
from edge_retina.doctor.edges import edge_offset
from edge_retina.doctor.run.evidence import DATA, FOUND, RunEvidence
from edge_retina.doctor.run.suspicion import Cause, Judgement, Mend

_RESIDUAL = 0.06
_IMAGES = 150
_FEWEST = 30


def judge(run: RunEvidence) -> Judgement | None:
    """Suspect a displacement if images or other labels show one."""
    assert run.train_examples is not None
    lines = [*_in_images(run), *_against_others(run)]
    if not lines:
        return None
    worst = max(size for size, _ in lines)
    return Judgement(
        tuple(text for _, text in lines),
        2 * worst * max(run.mAP, 0.3),
        Mend("correct the boxes: look at how the annotations were made or converted"),
    )


def _in_images(run: RunEvidence) -> list[tuple[float, str]]:
    offset = edge_offset(spread(run.train_examples or (), _IMAGES))
    return [(item.share, item.text) for item in offset.displacements()]


def _against_others(run: RunEvidence) -> list[tuple[float, str]]:
    """Compare what the network has learnt from training labels with labels of other images."""
    if run.val is None or run.lacks(FOUND):
        return []
    pairs = run.val.pairs
    near = pairs.iou >= 0.3
    if near.sum() < _FEWEST:
        return []
    sizes = (pairs.boxes[:, 2:] - pairs.boxes[:, :2])[near]
    centres = [(boxes[:, :2] + boxes[:, 2:])[near] / 2 for boxes in (pairs.boxes, pairs.found)]
    residuals = np.median((centres[1] - centres[0]) / np.maximum(sizes, 1e-6), axis=0)
    return [
        (
            abs(moved),
            f"detections on {run.val.split} lie {abs(moved):.0%} of the object's {side} too far "
            f"{_direction(moved, axis)} (median), as if only training boxes were displaced",
        )
        for axis, side, moved in zip("yx", ("height", "width"), residuals.tolist(), strict=True)
        if abs(moved) >= _RESIDUAL
    ]


def _direction(moved: float, axis: str) -> str:
    names = {"y": ("up", "down"), "x": ("left", "right")}[axis]
    return names[moved > 0]


OFFSET = Cause("boxes-displaced", "The boxes are displaced", "labels", (DATA,), judge)
