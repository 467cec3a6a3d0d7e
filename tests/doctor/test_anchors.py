from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_retina.boxes.anchors import AnchorGrid, default_shapes
from edge_retina.boxes.iou import pairwise_iou
from edge_retina.doctor.anchors import AnchorStudy, Coverage, best_iou
from tests.doctor.made import VocSet, codes, diagnose


@pytest.mark.parametrize("levels", [(3, 4, 5), (4, 5)])
def test_best_iou_equals_comparing_with_every_anchor(levels: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    centre, size = rng.uniform(0, 96, (300, 2)), np.exp(rng.uniform(0.5, 4.5, (300, 2)))
    boxes = np.clip(np.concatenate([centre - size / 2, centre + size / 2], axis=1), 0, 96)
    grid = AnchorGrid(96, levels[0], default_shapes(levels))
    expected = pairwise_iou(grid.boxes_px().astype(np.float64), boxes).max(axis=0)
    np.testing.assert_allclose(best_iou(grid, boxes), expected, atol=1e-6)


def test_best_iou_by_hand() -> None:
    grid = AnchorGrid(32, 3, (((8.0, 8.0),),))  # one anchor of 8 px in each cell of 8 px
    boxes = np.array([[8, 8, 16, 16], [8, 8, 16, 12], [10, 8, 18, 16]], float)
    np.testing.assert_allclose(best_iou(grid, boxes), [1, 0.5, 48 / 80])


def curve(**points: tuple[float, float]) -> AnchorStudy:
    found = {
        int(name[1:]): Coverage(10, recall, recall, iou) for name, (recall, iou) in points.items()
    }
    return AnchorStudy(256, (3,), {}, {}, found, ())


@pytest.mark.parametrize(
    "study, knee",
    [
        (curve(n1=(0.95, 0.6), n2=(0.96, 0.6), n3=(0.965, 0.6)), 2),  # 1 is more than a point off
        (curve(n1=(1.0, 0.5), n2=(1.0, 0.58), n3=(1.0, 0.6)), 2),  # 1 is more than .05 of IoU off
        (curve(n1=(0.9, 0.7), n3=(0.9, 0.7)), 1),
    ],
)
def test_knee(study: AnchorStudy, knee: int) -> None:
    assert study.knee == knee


def test_objects_without_an_anchor_are_found(tmp_path: Path) -> None:
    voc = VocSet(tmp_path)
    for number, width in enumerate(range(60, 120, 6)):
        voc.add(f"{number}.jpg", ("rod", 2, 10, 2 + width, 15), ("rod", 2, 30, 7, 30 + width // 2))
    found = codes(diagnose(voc.root, **{"anchors.per_cell": 1}))
    assert found["default-anchors-miss"].severity == "note"
    assert found["default-anchors-miss"].count == 20
    assert found["fitted-anchors-miss"].severity == "warning"
    assert "best possible recall" in found["fitted-anchors-miss"].cases[0].detail
