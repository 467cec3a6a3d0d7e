"""Files without NMS inside: decoded with the manifest beside them, or refused."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_retina.errors import ModelError
from edge_retina.runtime.detector import TFLiteDetector
from edge_retina.runtime.raw_outputs import RawDecoder, load_raw_decoder
from tests.runtime.raw_model import GRID, HEIGHT, LABELS, NAME, WIDTH, raw_content, write_raw

SETTINGS = {
    "score_threshold": 0.3,
    "iou_threshold": 0.5,
    "max_detections": 10,
    "candidates": 100,
}
ANCHORS = np.array([[0.2, 0.2, 0.4, 0.6], [0.2, 0.2, 0.4, 0.6], [0.5, 0.5, 1.0, 1.0]], np.float32)


def test_one_box_by_hand() -> None:
    """The anchor 0.2..0.4, 0.2..0.6: half a height down, twice as wide."""
    codes = np.zeros((1, 3, 4), np.float32)
    codes[0, 0] = 5.0, 0.0, 0.0, 5.0 * math.log(2)
    scores = np.zeros((1, 3, 2), np.float32)
    scores[0, 0, 1] = 0.75
    found = RawDecoder(ANCHORS, SETTINGS).decode(codes, scores)
    np.testing.assert_allclose(found.boxes_norm, [[0.3, 0.0, 0.5, 0.8]], atol=1e-6)
    assert found.classes.tolist() == [1]
    np.testing.assert_allclose(found.scores, [0.75], atol=1e-6)


def test_of_one_class_the_best_box_stays_of_two_both() -> None:
    scores = np.zeros((1, 3, 2), np.float32)
    scores[0, :, 0] = 0.6, 0.9, 0.4
    scores[0, 0, 1] = 0.5
    codes = np.zeros((1, 3, 4), np.float32)
    found = RawDecoder(ANCHORS, SETTINGS).decode(codes, scores)
    assert found.classes.tolist() == [0, 1, 0]
    np.testing.assert_allclose(found.scores, [0.9, 0.5, 0.4], atol=1e-6)
    np.testing.assert_allclose(found.boxes_norm, ANCHORS[[1, 0, 2]], atol=1e-6)


@pytest.mark.filterwarnings("error")
def test_scores_of_zero_and_one_are_no_trouble() -> None:
    scores = np.array([[[1.0, 0.0]] * 3], np.float32)
    found = RawDecoder(ANCHORS, SETTINGS).decode(np.zeros((1, 3, 4), np.float32), scores)
    assert found.classes.tolist() == [0, 0]
    np.testing.assert_allclose(found.scores, [1.0, 1.0], atol=1e-6)


def test_nothing_above_the_threshold() -> None:
    zeros = np.zeros((1, 3, 4), np.float32)
    found = RawDecoder(ANCHORS, SETTINGS).decode(zeros, np.full((1, 3, 2), 0.2, np.float32))
    assert found.boxes_norm.shape == (0, 4)
    assert len(found) == 0


def test_anchors_and_settings_are_those_of_the_manifest(tmp_path: Path) -> None:
    decoder = load_raw_decoder(write_raw(tmp_path), num_anchors=12)
    np.testing.assert_allclose(decoder.anchors_norm, GRID.boxes_px() / [2, 8, 2, 8], rtol=1e-6)
    np.testing.assert_allclose(decoder.anchors_norm[-3], [0.25, 0.8125, 0.75, 0.9375])
    assert decoder.settings == {
        "score_threshold": 0.05,
        "iou_threshold": 0.5,
        "max_detections": 10,
        "candidates": 100,
        "class_agnostic": False,
    }


def test_a_detector_of_a_raw_file(tmp_path: Path) -> None:
    detector = TFLiteDetector(write_raw(tmp_path))
    assert detector.labels == LABELS
    picture = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    boxes, scores = detector.invoke(detector.preprocess(picture))
    np.testing.assert_array_equal(boxes, scores)  # both are the pixels
    decoder = load_raw_decoder(tmp_path / NAME, num_anchors=12)
    expected = decoder.decode(boxes, scores)
    found = detector.predict(picture)
    assert len(found) > 1
    np.testing.assert_array_equal(found.boxes_norm, expected.boxes_norm)
    np.testing.assert_array_equal(found.scores, expected.scores)


def refusal(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        TFLiteDetector(path)
    return str(caught.value)


def test_no_manifest(tmp_path: Path) -> None:
    path = write_raw(tmp_path)
    (tmp_path / "manifest.json").unlink()
    (tmp_path / "labels.txt").write_text("a\nb\nc\nd\n")
    assert refusal(path) == (
        f"{path}: the model has no NMS inside and is decoded with the anchors in "
        f"{tmp_path / 'manifest.json'}, which is missing; keep the file in its export directory, "
        "or export without --no-nms"
    )


def test_a_manifest_of_other_files(tmp_path: Path) -> None:
    path = write_raw(tmp_path, files={})
    (tmp_path / "labels.txt").write_text("a\nb\nc\nd\n")
    assert "manifest.json, which doesn't list it; keep the file" in refusal(path)


def test_anchors_in_the_corners_of_their_cells(tmp_path: Path) -> None:
    anchors = {"min_level": 1, "shapes": [[[1.0, 1.0]]], "offsets": [0.0]}
    decoder = load_raw_decoder(write_raw(tmp_path, anchors=anchors), num_anchors=4)
    expected = [[-0.5, x - 0.5, 0.5, x + 0.5] for x in (0, 2, 4, 6)]
    np.testing.assert_allclose(decoder.anchors_norm, np.array(expected) / [2, 8, 2, 8])


def test_a_manifest_with_other_anchors(tmp_path: Path) -> None:
    path = write_raw(tmp_path, anchors={"min_level": 1, "shapes": [[[1.0, 1.0]]]})
    assert refusal(path) == (
        f"{tmp_path / 'manifest.json'}: its anchors are 4, but {NAME} has outputs of 12; the "
        "manifest is another model's: export the model again"
    )


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"anchors": {"shapes": [[[1.0, 1.0]]]}}, "KeyError('min_level')"),
        ({"anchors": {"min_level": 1, "shapes": [[[1.0]]]}}, "ValueError("),
        ({"anchors": {"min_level": 1, "shapes": 3}}, "TypeError("),
        ({"anchors": {"min_level": 1, "shapes": []}}, "ValueError("),
        ({"thresholds": {"score_threshold": 0.05}}, "KeyError('nms_iou')"),
        ({"thresholds": {"score_threshold": "low"}}, "ValueError("),
    ],
)
def test_a_broken_manifest(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    message = refusal(write_raw(tmp_path, **changes))
    assert message.startswith(
        f"{tmp_path / 'manifest.json'}: 'anchors' or 'thresholds' is not as exported ({said}"
    )
    assert message.endswith("); export the model again")


def test_labels_of_another_model(tmp_path: Path) -> None:
    path = write_raw(tmp_path, labels=("a", "b", "c"))
    assert refusal(path) == (
        f"{path}: the model scores 4 classes, but has 3 labels (a, b, c); the list is another "
        "model's: export the model again"
    )


def test_outputs_of_different_anchors(tmp_path: Path) -> None:
    path = write_raw(tmp_path, raw_content(num_anchors=12, num_scored=16, num_classes=3))
    assert refusal(path) == (
        f"{path}: expected the float32 outputs boxes [1,N,4], classes [1,N], scores [1,N], count "
        "[1], or boxes [1,A,4], scores [1,A,K] of a model without NMS, found boxes [1,12,4] "
        "float32; scores [1,16,3] float32; export the model with 'edge-retina export'"
    )
