"""Adaptive training sample selection: each object has its own IoU threshold.

Source: Zhang et al., "Bridging the Gap Between Anchor-based and Anchor-free Detection via Adaptive
Training Sample Selection", CVPR 2020, algorithm 1; the deviation is divided by n - 1 and all shapes
of a cell are candidates together, as in the authors' code.
Deviations: cells exactly as near as the ninth are candidates too, so that mirroring an image
mirrors its matches; an object without a positive anchor gets its best ones (`force_match`).
"""

from __future__ import annotations

import numpy as np

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.boxes.iou import pairwise_iou
from edge_retina.boxes.matching import NEGATIVE, ignore_inside
from edge_retina.config import MatchingConfig

CELLS_PER_LEVEL = 9  # the paper's k; 7 to 17 differ little (table 4)


def assign(
    anchors: np.ndarray,
    gt_boxes: np.ndarray,
    gt_classes: np.ndarray,
    ignored_boxes: np.ndarray,
    *,
    grid: AnchorGrid,
    settings: MatchingConfig,
) -> np.ndarray:
    """Match every anchor to an object or to background; none is between the two.

    An object's candidates are the anchors of the cells nearest to its centre, on every level. Those
    with an IoU of at least the mean plus the standard deviation of all candidates' are positive,
    if their centres lie inside the object. An anchor that several objects claim goes to the one
    with the highest IoU.

    Args:
        anchors: (A, 4) yxyx, of `grid`.
        gt_boxes: (G, 4) yxyx in the same frame; G may be 0.
        gt_classes: (G,); not looked at.
        ignored_boxes: (I, 4), neither object nor background; I may be 0.
        grid: says which anchors share a level and a cell.
        settings: `force_match`: an object left with no anchor gets those that share its best IoU.

    Returns:
        matched_gt (A,) int32: index of the object, NEGATIVE or IGNORED.
    """
    anchors, gt_boxes = anchors.astype(np.float32), gt_boxes.astype(np.float32)
    matched = np.full(len(anchors), NEGATIVE, np.int32)
    claimed = np.zeros(len(anchors), np.float32)
    iou = pairwise_iou(gt_boxes, anchors)
    for index, box in enumerate(gt_boxes):
        positive = _positive(box, iou[index], grid) & (iou[index] > claimed)
        matched[positive], claimed[positive] = index, iou[index, positive]
    if settings.force_match:
        force_best(matched, iou)
    return ignore_inside(matched, anchors, ignored_boxes).astype(np.int32)


def cell_centres(grid: AnchorGrid) -> list[np.ndarray]:
    """Return y, x of each level's cells, (cells, 2) float32 in pixels, in the anchors' order."""
    return [grid.centres_px(level).reshape(-1, 2) for level in grid.levels]


def _positive(box: np.ndarray, iou: np.ndarray, grid: AnchorGrid) -> np.ndarray:
    """Return the anchors (A,) bool that an object claims."""
    near, inside = [], []
    for centres in cell_centres(grid):
        distances = ((centres - (box[:2] + box[2:]) / 2) ** 2).sum(axis=1)
        farthest = np.sort(distances)[:CELLS_PER_LEVEL][-1]
        near.append(distances <= farthest)
        inside.append(((centres > box[:2]) & (centres < box[2:])).all(axis=1))
    candidates = np.repeat(np.concatenate(near), grid.per_cell)
    among = iou[candidates]
    threshold = among.mean() + among.std(ddof=min(1, len(among) - 1))
    return candidates & (iou >= threshold) & np.repeat(np.concatenate(inside), grid.per_cell)


def force_best(matched: np.ndarray, iou: np.ndarray) -> None:
    """Give objects without an anchor their best ones, in place; the higher IoU wins.

    Args:
        matched: (A,) index of the object, or a negative number.
        iou: (G, A).
    """
    claimed = np.zeros(len(matched), np.float32)
    for index in sorted(set(range(len(iou))) - set(matched.tolist())):
        best = (iou[index] == iou[index].max()) & (iou[index] > claimed)
        matched[best], claimed[best] = index, iou[index, best]
