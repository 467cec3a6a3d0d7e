"""The model of class_names.py in our own detector; `make test-clients` asks the other clients."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_retina.runtime.detector import TFLiteDetector
from edge_retina.runtime.image import load_image
from tests.clients.class_names import IMAGE_HW, LABELS, draw_pictures, names_at, write_models


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_models(tmp_path_factory.mktemp("models"))


def test_every_class_is_in_every_picture_and_was_at_every_place(tmp_path: Path) -> None:
    expected = draw_pictures(tmp_path / "pictures")
    assert [sorted(row["label"] for row in rows) for rows in expected.values()] == [
        sorted(LABELS)
    ] * len(LABELS)
    places = zip(*([row["label"] for row in rows] for rows in expected.values()), strict=True)
    assert all(set(labels) == set(LABELS) for labels in places)


@pytest.mark.tf
@pytest.mark.parametrize("xnnpack", [True, False], ids=["xnnpack", "builtin"])
def test_ids_mean_the_labels_and_boxes_lie_where_they_are(
    models: list[Path], tmp_path: Path, xnnpack: bool
) -> None:
    expected = draw_pictures(tmp_path / "pictures")
    for model in models:
        detector = TFLiteDetector(model, use_xnnpack=xnnpack)
        assert detector.labels == LABELS
        assert detector.input_hw == IMAGE_HW
        for name, rows in expected.items():
            found = detector.predict(load_image(tmp_path / "pictures" / name))
            by_label = {
                detector.labels[index]: (box, score)
                for index, box, score in zip(
                    found.classes, found.boxes_px(detector.input_hw), found.scores, strict=True
                )
            }
            assert len(found) == len(rows)
            for row in rows:
                box, score = by_label[row["label"]]
                np.testing.assert_allclose(box, row["box_px"], atol=0.2)  # of int8 codes
                assert score == pytest.approx(row["score"], abs=0.005)


def test_the_name_at_an_object_is_that_of_the_nearest_box() -> None:
    apple, bus = (
        {"label": x, "score": 0.9, "box_px": [0, n, 8, n + 8]}
        for x, n in (("apple", 0), ("bus", 40))
    )
    wrong = {"label": "zebra", "score": 0.9, "box_px": [0, 41, 8, 49]}
    assert names_at([apple, bus], [wrong, apple]) == ["apple", "zebra"]
    assert names_at([apple, bus], [bus]) == ["", "bus"]
    assert names_at([apple], []) == [""]
