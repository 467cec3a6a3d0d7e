"""`Detections` to and from the real supervision; see `make test-interop`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import edge_retina as er

sv = pytest.importorskip("supervision", reason="supervision is only in make test-interop")

TINY = Path(__file__).resolve().parents[1] / "golden" / "tiny_uint8.tflite"
WHITE = np.full((40, 60, 3), 255, np.uint8)


@pytest.fixture(scope="module")
def found() -> er.Detections:
    return er.Detector(TINY)(WHITE)


def test_boxes_scores_and_names(found: er.Detections) -> None:
    same = found.to_supervision()
    assert isinstance(same, sv.Detections)
    # tests/golden/make_tiny_detector.py: the square is at .1 .2 .5 .6 (yxyx) of 40 × 60 pixels
    assert same.xyxy == pytest.approx(np.array([[12, 4, 36, 20], [0, 0, 60, 40]]), abs=1e-4)
    assert same.class_id.tolist() == [1, 0]
    assert same["class_name"].tolist() == ["square", "disc"]
    assert same.confidence == pytest.approx([0.748, 0.25], abs=1e-3)


def test_there_and_back_is_the_same(found: er.Detections) -> None:
    back = er.Detections.from_supervision(
        found.to_supervision(), labels=found.labels, image_hw=found.image_hw
    )
    assert back.boxes_norm == pytest.approx(found.boxes_norm, abs=1e-6)
    assert back.classes.tolist() == found.classes.tolist()
    assert back.scores.tolist() == found.scores.tolist()
    assert (back.labels, back.image_hw) == (found.labels, found.image_hw)


def test_nothing_found(found: er.Detections) -> None:
    none = found.above(1.1).to_supervision()
    assert len(none) == 0
    assert none.xyxy.shape == (0, 4)
    back = er.Detections.from_supervision(none, labels=found.labels, image_hw=(40, 60))
    assert len(back) == 0
    empty = er.Detections.from_supervision(
        sv.Detections.empty(), labels=found.labels, image_hw=(40, 60)
    )
    assert empty.to_list() == []


def test_supervision_works_with_it(found: er.Detections) -> None:
    """Its own operations, on what it was given: NMS, filtering, drawing."""
    same = found.to_supervision()
    assert same[same.confidence > 0.5]["class_name"].tolist() == ["square"]
    assert len(same.with_nms(threshold=0.9, class_agnostic=True)) == 2
    assert len(same.with_nms(threshold=0.1, class_agnostic=True)) == 1  # IoU is .16
    drawn = sv.BoxAnnotator(thickness=1).annotate(WHITE.copy(), same)
    assert (drawn[4, 12:36] != 255).any()


def test_the_order_is_that_of_the_scores() -> None:
    mixed = sv.Detections(
        xyxy=np.array([[0, 0, 6, 4], [6, 4, 60, 40]], np.float32),
        class_id=np.array([0, 1]),
        confidence=np.array([0.2, 0.9], np.float32),
    )
    back = er.Detections.from_supervision(mixed, labels=("a", "b"), image_hw=(40, 60))
    assert back.to_list()[0] == {
        "label": "b",
        "score": pytest.approx(0.9),
        "box_px": pytest.approx([4, 6, 40, 60]),
    }


def test_what_cannot_be_taken() -> None:
    boxes = np.array([[0, 0, 6, 4]], np.float32)
    with pytest.raises(er.ModelError, match="has no class_id"):
        er.Detections.from_supervision(sv.Detections(xyxy=boxes), labels=("a",), image_hw=(40, 60))
    with pytest.raises(er.ModelError, match=r"class_id 1\.\.1, but there are 1 labels \(a\)"):
        er.Detections.from_supervision(
            sv.Detections(xyxy=boxes, class_id=np.array([1])), labels=("a",), image_hw=(40, 60)
        )
