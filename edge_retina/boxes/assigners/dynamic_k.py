"""Each object gets as many anchors as are about as good as its best one.

Source: Ge et al., "OTA: Optimal Transport Assignment for Object Detection", CVPR 2021, section 3.3
("dynamic k estimation": the IoUs of an object's best boxes add up to its number of positives).
Deviations: IoUs are those of the anchors, so that assignment needs no predictions and is done in
the input pipeline; they are divided by the object's best one. Otherwise objects that no anchor
fits well, the small ones above all, would get a single anchor.
"""

from __future__ import annotations

import numpy as np

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.boxes.assigners.atss import cell_centres, force_best
from edge_retina.boxes.iou import pairwise_iou
from edge_retina.boxes.matching import NEGATIVE, ignore_inside
from edge_retina.config import MatchingConfig

# Added before the sum is cut to an integer: half for rounding, less a little, so that a sum that
# is a half but for its last digits is the same everywhere.
ROUNDING = 0.4995


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

    An object's candidates are the anchors centred inside it, at most its `most_positives` best by
    IoU. k is the sum of their IoUs, each divided by the largest, rounded. The k best candidates are
    positive, and those that share the k-th IoU. An anchor that several objects claim goes to the
    one with the highest IoU.

    Args:
        anchors: (A, 4) yxyx, of `grid`.
        gt_boxes: (G, 4) yxyx in the same frame; G may be 0.
        gt_classes: (G,); not looked at.
        ignored_boxes: (I, 4), neither object nor background; I may be 0.
        grid: says where the cells are.
        settings: `most_positives`; `force_match`: an object left with no anchor gets those that
            share its best IoU.

    Returns:
        matched_gt (A,) int32: index of the object, NEGATIVE or IGNORED.
    """
    anchors, gt_boxes = anchors.astype(np.float32), gt_boxes.astype(np.float32)
    matched = np.full(len(anchors), NEGATIVE, np.int32)
    claimed = np.zeros(len(anchors), np.float32)
    iou = pairwise_iou(gt_boxes, anchors)
    centres = np.repeat(np.concatenate(cell_centres(grid)), grid.per_cell, axis=0)
    for index, box in enumerate(gt_boxes):
        inside = ((centres > box[:2]) & (centres < box[2:])).all(axis=1)
        quality = np.where(inside, iou[index], 0)
        positive = (quality >= _lowest(quality, settings.most_positives)) & (quality > claimed)
        matched[positive], claimed[positive] = index, quality[positive]
    if settings.force_match:
        force_best(matched, iou)
    return ignore_inside(matched, anchors, ignored_boxes).astype(np.int32)


def _lowest(quality: np.ndarray, most: int) -> np.float32:
    """Return the k-th largest of the anchors' IoUs (A,); see `assign` for k."""
    ranked = -np.sort(-quality)[:most]
    if not ranked[0]:
        return np.float32(0)
    count = int((ranked / ranked[0]).sum() + ROUNDING)
    return np.float32(ranked[max(count, 1) - 1])
