"""The code in which the box head speaks: a box relative to its anchor.

    ty = (y_box - y_anchor) / h_anchor * 10        th = log(h_box / h_anchor) * 5

and likewise for x and w, with y, x the centres. Source: Faster R-CNN (Ren et al. 2015), section
3.1.2; the scales 10, 10, 5, 5 of the TensorFlow detectors bring the four numbers to a like spread,
which a per-tensor int8 output needs.
"""

from __future__ import annotations

import math

import numpy as np

CODE_SCALES = (10.0, 10.0, 5.0, 5.0)
# exp() of a wild size code must not overflow: a box is at most about 62 times its anchor.
MAX_LOG_SIZE = math.log(1000 / 16)


def encode(boxes: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """Return the codes (N, 4) of `boxes` (N, 4) relative to `anchors` (N, 4), row by row."""
    box_centre, box_size = _centre_size(boxes)
    anchor_centre, anchor_size = _centre_size(anchors)
    shift = (box_centre - anchor_centre) / anchor_size
    growth = np.log(np.maximum(box_size, 1e-6) / anchor_size)
    return (np.concatenate([shift, growth], axis=-1) * np.array(CODE_SCALES)).astype(np.float32)


def decode(codes: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """Return the boxes (N, 4) yxyx that `codes` (N, 4) mean, in the frame of `anchors` (N, 4)."""
    anchor_centre, anchor_size = _centre_size(anchors)
    plain = codes / np.array(CODE_SCALES, np.float32)
    centre = plain[..., :2] * anchor_size + anchor_centre
    half = np.exp(np.minimum(plain[..., 2:], MAX_LOG_SIZE)) * anchor_size / 2
    return np.concatenate([centre - half, centre + half], axis=-1).astype(np.float32)


def _centre_size(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    low, high = boxes[..., :2], boxes[..., 2:]
    return (low + high) / 2, high - low
