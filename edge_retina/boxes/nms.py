"""From raw head outputs to detections: the numpy reference of the graph in the .tflite files."""

from __future__ import annotations

import numpy as np

from edge_retina.boxes.codec import decode
from edge_retina.boxes.iou import pairwise_iou
from edge_retina.boxes.score_threshold import least_logit, least_score

# Of the image; a box with a shorter side, such as one that lies outside the image and was clipped,
# is not an object. The TFLite kernel would repeat it in all rows that are left.
SMALLEST_SIDE = 1e-5


def non_max_suppression(
    boxes: np.ndarray, scores: np.ndarray, *, iou_threshold: float, max_kept: int
) -> np.ndarray:
    """Return the indices of the boxes kept, best first.

    Args:
        boxes: (N, 4) yxyx.
        scores: (N,), in any order; of equal scores the lower index comes first.
        iou_threshold: a box is dropped when its IoU with a kept one is above this.
        max_kept: stops after so many.
    """
    order = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while len(order) and len(kept) < max_kept:
        best = int(order[0])
        kept.append(best)
        rest = order[1:]
        overlap = pairwise_iou(boxes[best][None], boxes[rest])[0]
        order = rest[overlap <= iou_threshold]
    return np.array(kept, np.int64)


def detect(
    cls_logits: np.ndarray,
    box_deltas: np.ndarray,
    anchors: np.ndarray,
    *,
    score_threshold: float,
    iou_threshold: float,
    max_detections: int,
    candidates: int,
    class_agnostic: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Turn one image's head outputs into detections.

    Args:
        cls_logits: (A, K) before the sigmoid.
        box_deltas: (A, 4) codes, see `boxes.codec`.
        anchors: (A, 4) yxyx as fractions of the image.
        score_threshold: lower scores are dropped.
        iou_threshold: a box is dropped when its IoU with a kept one is at least this; within a
            class unless `class_agnostic`.
        max_detections: rows returned at the most.
        candidates: (anchor, class) pairs that enter the suppression, best scores first.
        class_agnostic: suppress across classes too.

    Returns:
        boxes (N, 4) float32 yxyx clipped to 0..1, classes (N,) int32, scores (N,) float32.
    """
    logits = cls_logits.astype(np.float32).reshape(-1)
    chosen = _best(logits, candidates=candidates, least=least_logit(score_threshold))
    scores = (1 / (1 + np.exp(-logits[chosen].astype(np.float64)))).astype(np.float32)
    return _suppressed(
        chosen,
        scores,
        box_deltas,
        anchors,
        num_classes=cls_logits.shape[1],
        iou_threshold=iou_threshold,
        max_detections=max_detections,
        class_agnostic=class_agnostic,
    )


def detect_scored(
    scores: np.ndarray,
    box_deltas: np.ndarray,
    anchors: np.ndarray,
    *,
    score_threshold: float,
    iou_threshold: float,
    max_detections: int,
    candidates: int,
    class_agnostic: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Do what `detect` does, with scores (A, K) after the sigmoid, which are returned as they are.

    A score is not turned back into its logit: near 0 and 1 float32 has not enough logits, or not
    enough scores, for the way back to end where it began.
    """
    flat = scores.astype(np.float32).reshape(-1)
    chosen = _best(flat, candidates=candidates, least=least_score(score_threshold))
    return _suppressed(
        chosen,
        flat[chosen],
        box_deltas,
        anchors,
        num_classes=scores.shape[1],
        iou_threshold=iou_threshold,
        max_detections=max_detections,
        class_agnostic=class_agnostic,
    )


def _best(values: np.ndarray, *, candidates: int, least: np.float32) -> np.ndarray:
    """Return the indices of the best of `values` (N,) that are `least` or more, best first."""
    chosen = np.argsort(-values, kind="stable")[:candidates]
    return chosen[values[chosen] >= least]


def _suppressed(
    chosen: np.ndarray,
    scores: np.ndarray,
    box_deltas: np.ndarray,
    anchors: np.ndarray,
    *,
    num_classes: int,
    iou_threshold: float,
    max_detections: int,
    class_agnostic: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what `detect` does, of the `chosen` (anchor, class) pairs (N,), best first."""
    anchor, label = np.divmod(chosen, num_classes)
    boxes = np.clip(decode(box_deltas[anchor], anchors[anchor]), 0, 1)
    # Shifting each class to a place of its own keeps classes from suppressing one another.
    apart = boxes if class_agnostic else boxes + 2 * label[:, None].astype(np.float32)
    real = (apart[:, 2:] - apart[:, :2]).min(axis=1) > SMALLEST_SIDE
    boxes, label, scores, apart = boxes[real], label[real], scores[real], apart[real]
    # The TFLite kernel drops a box at the threshold too: above the next smaller number is the same.
    below = float(np.nextafter(np.float32(iou_threshold), np.float32(0)))
    kept = non_max_suppression(apart, scores, iou_threshold=below, max_kept=max_detections)
    return boxes[kept], label[kept].astype(np.int32), scores[kept]


def select_boxes(
    boxes: np.ndarray,
    scores: np.ndarray,
    *,
    score_threshold: float,
    iou_threshold: float,
    max_detections: int,
    candidates: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pick the detections among decoded boxes; suppression is within a class.

    Args:
        boxes: (A, 4) yxyx in any frame, not clipped.
        scores: (A, K) of every box and class.
        score_threshold: only scores above it count.
        iou_threshold: of the suppression.
        max_detections: rows returned at the most.
        candidates: (box, class) pairs that enter the suppression, best scores first.

    Returns:
        boxes (N, 4), classes (N,) int32 and scores (N,), best first.
    """
    box, label = np.nonzero(scores > score_threshold)
    found = scores[box, label]
    best = np.argsort(-found, kind="stable")[:candidates]
    box, label, found = box[best], label[best], found[best]
    chosen = boxes[box]
    # Each class in a place of its own; in float64, so that the shift costs no precision.
    wide = chosen.astype(np.float64)
    span = wide.max() - wide.min() + 1 if len(wide) else 1.0
    apart = wide + span * label[:, None]
    kept = non_max_suppression(apart, found, iou_threshold=iou_threshold, max_kept=max_detections)
    return chosen[kept], label[kept].astype(np.int32), found[kept]
