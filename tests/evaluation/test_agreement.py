from __future__ import annotations

import numpy as np
import pytest

from edge_retina.evaluation.agreement import Agreement, compare_detections
from edge_retina.runtime.detections import Detections


def detections(*rows: tuple[float, float, float, float, int, float]) -> Detections:
    """Detections from (ymin, xmin, ymax, xmax, class, score)."""
    table = np.array(rows, np.float32).reshape(-1, 6)
    return Detections(table[:, :4], table[:, 4].astype(np.int32), table[:, 5])


BOX = (0.1, 0.1, 0.5, 0.5)
NEAR = (0.1, 0.1, 0.5, 0.52)  # IoU .4 * .4 / (.4 * .42) = .952
FAR = (0.6, 0.6, 0.9, 0.9)


@pytest.mark.parametrize(
    "expected, got, counts",
    [
        (detections(), detections(), (0, 0, 0, 0)),
        (detections(), detections((*BOX, 0, 0.9)), (0, 0, 0, 0)),
        (detections((*BOX, 0, 0.9)), detections(), (1, 0, 0, 0)),
        (detections((*BOX, 0, 0.9)), detections((*BOX, 0, 0.9)), (1, 1, 1, 1)),
        (detections((*BOX, 0, 0.9)), detections((*NEAR, 0, 0.85)), (1, 1, 1, 1)),
        (detections((*BOX, 0, 0.9)), detections((*FAR, 0, 0.9)), (1, 0, 0, 0)),
        (detections((*BOX, 0, 0.9)), detections((*BOX, 1, 0.9)), (1, 1, 0, 0)),
        (detections((*BOX, 0, 0.9)), detections((*BOX, 0, 0.7)), (1, 1, 1, 0)),
        # Class and score must be those of one and the same box.
        (detections((*BOX, 0, 0.9)), detections((*BOX, 0, 0.5), (*BOX, 1, 0.9)), (1, 1, 1, 0)),
        (detections((*BOX, 0, 0.9), (*FAR, 1, 0.4)), detections((*FAR, 1, 0.45)), (2, 1, 1, 1)),
    ],
)
def test_counts(expected: Detections, got: Detections, counts: tuple[int, ...]) -> None:
    found = compare_detections(expected, got, min_iou=0.95, score_tolerance=0.1)
    assert found == Agreement(*counts)


def test_shares_are_over_all_images() -> None:
    total = Agreement(4, 3, 2, 1) + Agreement(0, 0, 0, 0) + Agreement(1, 1, 1, 1)
    assert [total.share(part) for part in ("boxes", "classes", "scores")] == [0.8, 0.6, 0.4]
    assert Agreement().share("boxes") == 1.0
