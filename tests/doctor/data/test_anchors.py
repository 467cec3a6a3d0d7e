from __future__ import annotations

from pathlib import Path

import numpy as np

from edge_retina.boxes.fitting import coverage_curve, knee
from tests.doctor.made import VocSet, codes, diagnose


def test_the_curve_is_that_of_the_anchors_command(tmp_path: Path) -> None:
    voc = VocSet(tmp_path)
    rng = np.random.default_rng(0)
    for number in range(4):
        corners = rng.integers(2, 40, (6, 2)).tolist()
        sizes = rng.integers(8, 50, (6, 2)).tolist()
        voc.add(
            f"{number}.jpg",
            *[("cat", x, y, x + w, y + h) for (x, y), (w, h) in zip(corners, sizes, strict=True)],
        )
    diagnosis = diagnose(voc.root)
    known, study = diagnosis.survey, diagnosis.anchors
    boxes = np.concatenate([item.boxes_at((96, 96)) for item in known.training])
    expected = coverage_curve(boxes, image_hw=(96, 96), levels=study.levels, seed=known.config.seed)
    assert [point.per_cell for point in study.curve] == list(range(1, 10))
    assert study.curve == expected
    advised = {item.key: item.value for item in diagnosis.advice}
    assert advised["model.image_hw"] == [96, 96]  # so the advice is about the same study
    assert advised["anchors.per_cell"] == knee(expected)


def test_objects_without_an_anchor_are_found(tmp_path: Path) -> None:
    voc = VocSet(tmp_path)
    for number, width in enumerate(range(60, 120, 6)):
        voc.add(f"{number}.jpg", ("rod", 2, 10, 2 + width, 15), ("rod", 2, 30, 7, 30 + width // 2))
    found = codes(diagnose(voc.root, **{"anchors.per_cell": 1}))
    assert found["default-anchors-miss"].severity == "note"
    assert found["default-anchors-miss"].count == 20
    assert found["fitted-anchors-miss"].severity == "warning"
    assert "best possible recall" in found["fitted-anchors-miss"].cases[0].detail
