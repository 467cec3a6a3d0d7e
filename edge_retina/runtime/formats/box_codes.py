"""Box codes of every anchor and scores of every anchor and class: shared by two forms."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from edge_retina.boxes.nms import select_boxes
from edge_retina.runtime.anchor_file import AnchorSet
from edge_retina.runtime.formats.output_format import Found, ModelTensors, check_scores, named

_BOX_NAMES = ("box", "location", "regress")
_SCORE_NAMES = ("score", "class", "logit")
_LARGEST_LOGIT = 80.0  # exp() of more would overflow float32


@dataclass(frozen=True)
class Limits:
    """The settings of the suppression, see `boxes.nms.select_boxes`."""

    score_threshold: float
    iou_threshold: float
    max_detections: int = 100
    candidates: int = 5000


def find_pair(model: ModelTensors, places: list[int]) -> tuple[int, int] | None:
    """Return the places of box codes (1, A, 4 or more) and scores (1, A, K); None if not there.

    Names decide; where they say nothing, the output with four columns is the boxes, and of two of
    them the first.
    """
    shapes = model.shapes
    if len(places) != 2 or any(len(shapes[i]) != 3 or shapes[i][0] != 1 for i in places):
        return None
    one, other = places
    if shapes[one][1] != shapes[other][1]:
        return None
    for boxes, scores in ((one, other), (other, one)):
        if shapes[boxes][2] >= 4 and _names_fit(model, boxes, scores):
            return boxes, scores
    wide = [i for i in places if shapes[i][2] == 4]
    if not wide:
        return None
    return wide[0], (other if wide[0] == one else one)


def _names_fit(model: ModelTensors, boxes: int, scores: int) -> bool:
    box_names, score_names = model.output_names[boxes], model.output_names[scores]
    plainly_boxes = named(box_names, *_BOX_NAMES) and not named(box_names, *_SCORE_NAMES)
    plainly_scores = named(score_names, *_SCORE_NAMES) and not named(score_names, *_BOX_NAMES)
    return (plainly_boxes and not named(score_names, *_BOX_NAMES)) or (
        plainly_scores and not named(box_names, *_SCORE_NAMES)
    )


def decode_codes(
    codes: np.ndarray,
    scores: np.ndarray,
    anchors: AnchorSet,
    rows: np.ndarray,
    *,
    num_labels: int,
    limits: Limits,
) -> Found:
    """Return the detections of codes (A, 4 or more) and scores (A, K), background first if K + 1.

    Args:
        codes: relative to the anchors.
        scores: in 0..1, or logits if the anchors say so.
        anchors: how boxes are coded.
        rows: (A, 4) the anchors themselves.
        num_labels: K.
        limits: of the suppression.
    """
    if anchors.sigmoid:
        scores = 1 / (1 + np.exp(-np.clip(scores, -_LARGEST_LOGIT, _LARGEST_LOGIT)))
    check_scores(scores)
    found = select_boxes(
        anchors.decode(codes, rows),
        scores[:, scores.shape[1] - num_labels :],
        **dataclasses.asdict(limits),
    )
    return Found(*found)
