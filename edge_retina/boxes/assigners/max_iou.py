"""An anchor is trained to find the object that it overlaps most, if it overlaps it enough."""

from __future__ import annotations

import numpy as np

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.boxes.iou import pairwise_iou
from edge_retina.boxes.matching import IGNORED, NEGATIVE, ignore_inside
from edge_retina.config import MatchingConfig


def assign(
    anchors: np.ndarray,
    gt_boxes: np.ndarray,
    gt_classes: np.ndarray,
    ignored_boxes: np.ndarray,
    *,
    grid: AnchorGrid,
    settings: MatchingConfig,
) -> np.ndarray:
    """Match every anchor to an object, to background or to nothing.

    Args:
        anchors: (A, 4) yxyx, of `grid`.
        gt_boxes: (G, 4) yxyx in the same frame; G may be 0.
        gt_classes: (G,); not looked at.
        ignored_boxes: (I, 4), neither object nor background; I may be 0.
        grid: not looked at.
        settings: at or above `positive_iou`, an anchor is matched to its best object; below
            `negative_iou` it is background; between the two it is ignored. With `force_match` every
            object also gets the anchors that share its own best IoU, unless that is 0, and its
            `min_positives` best ones, if their IoU is at least `min_positive_iou`. Where two
            objects claim one anchor, the one with the higher IoU has it.

    Returns:
        matched_gt (A,) int32: index of the object, NEGATIVE or IGNORED.

    Source: Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, section 4 (without
    `force_match`, which is Faster R-CNN's, section 3.1.2; `min_positives` extends it).
    """
    matched = np.full(len(anchors), NEGATIVE, np.int32)
    if len(gt_boxes):
        iou = pairwise_iou(anchors.astype(np.float32), gt_boxes.astype(np.float32))
        best_iou = iou.max(axis=1)
        matched = np.where(best_iou >= settings.positive_iou, iou.argmax(axis=1), IGNORED)
        matched = np.where(best_iou < settings.negative_iou, NEGATIVE, matched)
        if settings.force_match:
            forced = (iou >= _forced_from(iou, settings)) & (iou > 0)
            claim = np.where(forced, iou, -1.0)
            matched = np.where(forced.any(axis=1), claim.argmax(axis=1), matched)
    return ignore_inside(matched, anchors, ignored_boxes).astype(np.int32)


def _forced_from(iou: np.ndarray, settings: MatchingConfig) -> np.ndarray:
    """Return the IoU (G,) from which on an object's anchors are forced, of `iou` (A, G)."""
    ranked = -np.sort(-iou, axis=0)
    enough = ranked[min(settings.min_positives, len(ranked)) - 1]
    return np.minimum(ranked[0], np.maximum(enough, np.float32(settings.min_positive_iou)))
