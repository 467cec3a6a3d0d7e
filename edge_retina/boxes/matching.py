"""What an anchor can be matched to: an object, background or nothing."""

from __future__ import annotations

import numpy as np

from edge_retina.boxes.iou import area

NEGATIVE = -1
IGNORED = -2
# Share of an anchor inside a region that is neither object nor background: "mostly".
INSIDE_SHARE = 0.5


def ignore_inside(
    matched_gt: np.ndarray, anchors: np.ndarray, ignored_boxes: np.ndarray
) -> np.ndarray:
    """Return a matching with the background anchors ignored that lie mostly in an ignored box.

    Args:
        matched_gt: (A,) index of the object, NEGATIVE or IGNORED.
        anchors: (A, 4) yxyx.
        ignored_boxes: (I, 4) yxyx in the same frame; I may be 0.
    """
    low = np.maximum(anchors[:, None, :2], ignored_boxes[None, :, :2])
    high = np.minimum(anchors[:, None, 2:], ignored_boxes[None, :, 2:])
    common = np.maximum(high - low, 0).prod(axis=-1)
    inside = (common > INSIDE_SHARE * area(anchors)[:, None]).any(axis=1)
    return np.where((matched_gt == NEGATIVE) & inside, IGNORED, matched_gt)
