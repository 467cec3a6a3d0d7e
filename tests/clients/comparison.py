"""Do two lists of detections say the same?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_retina.boxes.iou import pairwise_iou

SCORE_COMPARED = 0.3
MAX_BOX_PX = 1.0
MAX_SCORE = 0.01
SAME_IOU = 0.75
# Rows near the threshold are compared if the other side has them somewhat below it
_ROUNDING = 1e-4

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Agreement:
    """How well a client's rows on some pictures fit the reference's.

    Attributes:
        pictures: how many.
        rows: those of either side at or above the compared score; each is looked for on the other.
        agreed: rows with the same label, every side of the box within 1 px, score within 0.01.
        same: rows for which the other side has a box of the same label and IoU of at least 0.75.
        median_box_px: of a box's largest difference, over rows whose label the other side has.
        max_box_px: the largest of these.
        max_score: the largest difference of scores.
        labels: classes among the rows.
    """

    pictures: int
    rows: int
    agreed: int
    same: int
    median_box_px: float
    max_box_px: float
    max_score: float
    labels: tuple[str, ...]

    @property
    def is_full(self) -> bool:
        """Whether every row was found again; False where there was none to find."""
        return 0 < self.rows == self.agreed


def compare(
    reference: Mapping[str, Sequence[Row]],
    got: Mapping[str, Sequence[Row]],
    *,
    whole_pixels: bool = False,
) -> Agreement:
    """Compare rows (label, score, box_px) by picture name, in both directions.

    Args:
        reference: rows by picture name.
        got: those of the client.
        whole_pixels: the client cuts a box's origin and its size down to whole pixels, so the
            pixel is allowed for these: a lower right corner can be off by two.

    Raises:
        ValueError: the two are not of the same pictures.
    """
    if set(reference) != set(got):
        raise ValueError(f"other pictures: {sorted(set(reference) ^ set(got))}")
    labels, differences = set(), []
    for name, expected in reference.items():
        for rows, others in ((expected, got[name]), (got[name], expected)):
            for row in rows:
                if row["score"] >= SCORE_COMPARED:
                    labels.add(row["label"])
                    differences.append(nearest(row, others, whole_pixels=whole_pixels))
    box = np.array([item[0] for item in differences])
    score = np.array([item[1] for item in differences])
    agreed = (box <= MAX_BOX_PX + _ROUNDING) & (score <= MAX_SCORE + _ROUNDING)
    iou = np.array([item[2] for item in differences])
    seen = np.isfinite(box)
    return Agreement(
        pictures=len(reference),
        rows=len(differences),
        agreed=int(agreed.sum()),
        same=int((iou >= SAME_IOU).sum()),
        median_box_px=float(np.median(box[seen])) if seen.any() else 0.0,
        max_box_px=float(box[seen].max(initial=0.0)),
        max_score=float(score[seen].max(initial=0.0)),
        labels=tuple(sorted(labels)),
    )


def nearest(
    row: Row, others: Sequence[Row], *, whole_pixels: bool = False
) -> tuple[float, float, float]:
    """Return the differences to the nearest box of the same label: of its sides, its score; IoU.

    Without such a box they are infinite, infinite and 0.
    """
    best = (float("inf"), float("inf"), 0.0)
    for other in others:
        if other["label"] == row["label"]:
            one, two = np.asarray(row["box_px"], float), np.asarray(other["box_px"], float)
            iou = float(pairwise_iou(one[None], two[None])[0, 0])
            if whole_pixels:
                one, two = _origin_and_size(one), _origin_and_size(two)
            best = min(
                best, (float(np.abs(one - two).max()), abs(row["score"] - other["score"]), iou)
            )
    return best


def _origin_and_size(box: np.ndarray) -> np.ndarray:
    return np.concatenate([box[:2], box[2:] - box[:2]])
