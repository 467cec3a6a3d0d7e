from __future__ import annotations

import numpy as np
import pytest

from edge_retina.boxes.coverage import AnchorCoverage, measure_coverage

ANCHORS = np.array([(0, 0, 10, 10), (0, 1, 10, 11)], np.float64)


def test_coverage_by_hand():
    images = [
        # IoU 1 and 9/11 | .45 and 35/110
        np.array([(0, 0, 10, 10), (0, 0, 10, 4.5)]),
        np.zeros((0, 4)),  # a picture without objects changes nothing
        np.array([(50.0, 50, 60, 60)]),
    ]
    found = measure_coverage(ANCHORS, images)
    assert found.objects == 3
    assert found.best_possible_recall == pytest.approx(1 / 3)
    assert found.recall_at_40 == pytest.approx(2 / 3)
    assert found.mean_best_iou == pytest.approx(1.45 / 3)
    assert found.positives_per_object == pytest.approx(2 / 3)


@pytest.mark.parametrize("images", [[], [np.zeros((0, 4))]])
def test_no_objects(images: list[np.ndarray]):
    assert measure_coverage(ANCHORS, images) == AnchorCoverage(0, 0.0, 0.0, 0.0, 0.0)
