from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_retina.config import Config
from edge_retina.doctor.data.checks.objects import lost_to_nms, measure_objects
from edge_retina.doctor.data.survey import survey
from tests.doctor.made import VocSet, codes, diagnose


def test_sizes_are_those_at_the_input(tmp_path: Path) -> None:
    voc = VocSet(tmp_path)  # pictures are 96 high and 128 wide
    voc.add("a.jpg", ("cat", 0, 0, 32, 48), ("dog", 64, 48, 128, 96))
    objects = measure_objects(survey(voc.root, Config()), (64, 64))
    np.testing.assert_allclose(objects.sizes_hw, [[32, 16], [32, 32]])
    np.testing.assert_allclose(objects.aspects, [2, 1])
    np.testing.assert_allclose(objects.sides, [np.sqrt(512), 32])
    assert objects.per_image.tolist() == [2]
    assert objects.small_share(1) == 0
    assert objects.small_share(20 / 64) == 0.5  # 7.1 and 10 px


def test_suppression_of_perfect_detections(tmp_path: Path) -> None:
    voc = VocSet(tmp_path)
    row = [("cat", 10 * i, 10, 10 * i + 30, 40) for i in range(3)]  # neighbours: IoU 20/40
    voc.add("row.jpg", *row, ("dog", 5, 10, 35, 40))
    voc.add("twice.jpg", ("cat", 10, 10, 40, 40), ("cat", 10, 10, 40, 40))  # another mistake
    known = survey(voc.root, Config())
    assert lost_to_nms(known, 0.5).sum() == 0  # not above
    # At 0.4 the first keeps the second away; the third overlaps the first by 10/50 only.
    assert np.flatnonzero(lost_to_nms(known, 0.4)).tolist() == [1]
    assert np.flatnonzero(lost_to_nms(known, 0.15)).tolist() == [1, 2]


def test_share_lost_counts_what_a_perfect_detector_could_find(tmp_path: Path) -> None:
    voc = VocSet(tmp_path)
    voc.add("row.jpg", *[("cat", 10 * i, 10, 10 * i + 30, 40) for i in range(3)])
    objects = measure_objects(survey(voc.root, Config()), (96, 96))
    assert objects.lost_to_nms == pytest.approx(
        {0.3: 1 / 3, 0.4: 1 / 3, 0.5: 0, 0.6: 0, 0.7: 0, 0.8: 0}
    )


def test_more_objects_than_the_model_returns(tmp_path: Path) -> None:
    voc = VocSet(tmp_path)
    voc.add("a.jpg", *[("cat", 10 * i, 10, 10 * i + 9, 40) for i in range(8)])
    voc.add("b.jpg", *[("cat", 10 * i, 10, 10 * i + 9, 40) for i in range(9)])
    found = codes(diagnose(voc.root, **{"export.max_detections": 8}))["too-many-objects"]
    assert found.count == 1
    assert found.cases[0].file == "JPEGImages/b.jpg"
    assert found.cases[0].detail == "9 objects; the model returns 8"
