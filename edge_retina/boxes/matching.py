"""Which anchor is trained to find which object: the numpy reference of the TensorFlow form."""

from __future__ import annotations

import numpy as np

from edge_retina.boxes.iou import pairwise_iou

NEGATIVE = -1
IGNORED = -2


def match_anchors(
    anchors: np.ndarray,
    gt_boxes: np.ndarray,
    *,
    positive_iou: float,
    negative_iou: float,
    force_match: bool,
) -> np.ndarray:
    """Match every anchor to an object, to background or to nothing.

    Args:
        anchors: (A, 4) yxyx.
        gt_boxes: (G, 4) yxyx in the same frame; G may be 0.
        positive_iou: at or above, an anchor is matched to its best object.
        negative_iou: below, an anchor is background; between the two it is ignored.
        force_match: every object also gets the anchors that share its own best IoU, unless that is
            0. Where two objects claim one anchor, the one with the higher IoU has it.

    Returns:
        matched_gt (A,) int32: index of the object, NEGATIVE or IGNORED.
    """
    if not len(gt_boxes):
        return np.full(len(anchors), NEGATIVE, np.int32)
    iou = pairwise_iou(anchors.astype(np.float32), gt_boxes.astype(np.float32))
    best_gt, best_iou = iou.argmax(axis=1), iou.max(axis=1)
    matched = np.where(best_iou >= positive_iou, best_gt, IGNORED)
    matched = np.where(best_iou < negative_iou, NEGATIVE, matched)
    if force_match:
        best_of_gt = iou.max(axis=0)
        forced = (iou == best_of_gt) & (best_of_gt > 0)
        claim = np.where(forced, iou, -1.0)
        matched = np.where(forced.any(axis=1), claim.argmax(axis=1), matched)
    return matched.astype(np.int32)
