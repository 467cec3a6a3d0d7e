"""COCO AP of other frameworks' files is that of an evaluation by hand, see `by_hand`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_retina.datasets.schema import Example
from edge_retina.evaluation.evaluator import evaluate
from edge_retina.runtime import placement
from edge_retina.runtime.foreign import foreign_settings
from edge_retina.runtime.foreign_detector import ForeignDetector
from edge_retina.runtime.foreign_settings import ForeignChoices
from edge_retina.runtime.formats import yolov8
from tests.evaluation import by_hand
from tests.evaluation.by_hand import Row
from tests.runtime.formats.stand_in import (
    FLOAT,
    INT8_SIGNED,
    INT8_UNIT,
    Output,
    stand_in,
    with_postprocess,
)

SIDE = 64
LABELS = ("a", "b", "c")
# Tall, wide, square, and one that is smaller than the input
SIZES_HW = ((120, 70), (70, 120), (90, 90), (60, 41))
ANCHORS = np.random.default_rng(5).uniform(0.2, 0.6, (60, 4)).astype(np.float32)


@dataclass(frozen=True)
class Case:
    """A file, and what it finds in a picture by hand."""

    content: bytes
    by_hand: Callable[[bytes, np.ndarray], list[Row]]
    tolerance: float = 1e-6


def yolo_by_hand(content: bytes, picture: np.ndarray) -> list[Row]:
    square, zoom, border = by_hand.letterbox(picture, SIDE)
    (table,) = by_hand.run_file(content, square / 255)
    if table.shape[1] != 4 + len(LABELS):
        table = table.transpose(0, 2, 1)
    rows = by_hand.suppress(by_hand.yolo_rows(table[0], SIDE), iou=0.7, at_most=300)
    size = picture.shape[1::-1]
    return by_hand.to_picture(rows, zoom=zoom, border=border, size=size)


def end_to_end_by_hand(content: bytes, picture: np.ndarray) -> list[Row]:
    square, zoom, border = by_hand.letterbox(picture, SIDE)
    (table,) = by_hand.run_file(content, square / 255)
    rows = [(*(float(x) * SIDE for x in row[:4]), float(row[4]), round(row[5])) for row in table[0]]
    size = picture.shape[1::-1]
    return by_hand.to_picture(rows, zoom=zoom, border=border, size=size)


def ssd_by_hand(content: bytes, picture: np.ndarray) -> list[Row]:
    stretched = cv2.resize(picture, (SIDE, SIDE))
    codes, scores, anchors = by_hand.run_file(content, (stretched - 127.5) / 127.5)
    rows = by_hand.ssd_rows(codes[0], scores[0], anchors, columns=[1, 2, 3])
    rows = by_hand.suppress(rows, iou=0.6, at_most=100)
    width, height = picture.shape[1::-1]
    return by_hand.to_picture(
        rows, zoom=(1 / width, 1 / height), border=(0, 0), size=(width, height)
    )


def postprocess_by_hand(content: bytes, picture: np.ndarray) -> list[Row]:
    """The order of the outputs is known here: scores, boxes, count, classes."""
    stretched = cv2.resize(picture, (SIDE, SIDE))
    scores, boxes, count, classes = by_hand.run_file(content, (stretched - 127.5) / 127.5)
    rows = [
        (box[1], box[0], box[3], box[2], float(score), int(label))
        for box, score, label in zip(boxes[0], scores[0], classes[0], strict=True)
    ][: int(count[0])]
    width, height = picture.shape[1::-1]
    return by_hand.to_picture(
        rows, zoom=(1 / width, 1 / height), border=(0, 0), size=(width, height)
    )


def detr_by_hand(content: bytes, picture: np.ndarray) -> list[Row]:
    stretched = cv2.resize(picture, (SIDE, SIDE))
    mean, std = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])
    logits, boxes = by_hand.run_file(content, (stretched - mean) / std)
    rows = []
    width, height = picture.shape[1::-1]
    for logit, (x, y, w, h) in zip(logits[0], boxes[0], strict=True):
        share = np.exp(logit) / np.exp(logit).sum()
        label = int(np.argmax(share[:-1]))
        box = (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
        rows.append((*map(float, box), float(share[label]), label))
    return by_hand.to_picture(
        rows, zoom=(1 / width, 1 / height), border=(0, 0), size=(width, height)
    )


def ssd(kind: tuple) -> bytes:
    outputs = [
        Output("raw_outputs/box_encodings", (1, 60, 4)),
        Output("raw_outputs/class_predictions", (1, 60, 4), sigmoid=True),
        Output("anchors", (60, 4), values=ANCHORS),
    ]
    return stand_in(outputs, input_hw=(SIDE, SIDE), kind=kind)


def end_to_end() -> bytes:
    """Rows of constant boxes and classes, but pixels cannot be both: all is constant."""
    rng = np.random.default_rng(11)
    low, sides = rng.uniform(0, 0.6, (40, 2)), rng.uniform(0.1, 0.4, (40, 2))
    rows = np.column_stack([low, low + sides, rng.uniform(0, 1, 40), rng.integers(0, 3, 40)])
    return stand_in([Output("rows", (1, 40, 6), values=rows)], input_hw=(SIDE, SIDE))


CASES = {
    "yolov8": Case(stand_in([Output("o", (1, 7, 84))], input_hw=(SIDE, SIDE)), yolo_by_hand),
    "yolov8 transposed": Case(
        stand_in([Output("o", (1, 84, 7))], input_hw=(SIDE, SIDE)), yolo_by_hand
    ),
    # An int8 output has many equal scores: which of two is first is a matter of the last digit
    "yolov8 int8": Case(
        stand_in([Output("o", (1, 7, 84))], input_hw=(SIDE, SIDE), kind=INT8_UNIT),
        yolo_by_hand,
        tolerance=0.002,
    ),
    "end_to_end": Case(end_to_end(), end_to_end_by_hand),
    "detr": Case(
        stand_in(
            [
                Output("pred_logits", (1, 30, 4)),
                Output("pred_boxes", (1, 30, 4), sigmoid=True),
            ],
            input_hw=(SIDE, SIDE),
        ),
        detr_by_hand,
    ),
    "ssd_raw": Case(ssd(FLOAT), ssd_by_hand),
    "ssd_raw int8": Case(ssd(INT8_SIGNED), ssd_by_hand, tolerance=0.002),
    "task_library": Case(
        with_postprocess(ANCHORS, num_classes=3, input_hw=(SIDE, SIDE), order=(2, 0, 3, 1)),
        postprocess_by_hand,
    ),
}


def pictures() -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [rng.integers(0, 256, (*hw, 3)).astype(np.uint8) for hw in SIZES_HW]


def objects(found: list[Row]) -> list[Row]:
    """Every third detection, moved a little, and one that nothing finds."""
    moved = []
    for number, (x1, y1, x2, y2, _, label) in enumerate(found[::3][:8]):
        shift = (x2 - x1) * 0.05 * (number % 4)
        moved.append((x1 + shift, y1, x2 + shift, y2, 1.0, label))
    return [*moved, (1.0, 1.0, 4.0, 3.0, 1.0, 0)]


def example(directory: Path, number: int, picture: np.ndarray, truth: list[Row]) -> Example:
    path = directory / f"{number}.png"
    cv2.imwrite(str(path), picture[..., ::-1])
    return Example(
        image_id=path.name,
        path=path,
        image_hw=picture.shape[:2],
        boxes_px=np.array([(y1, x1, y2, x2) for x1, y1, x2, y2, _, _ in truth], np.float32),
        classes=np.array([row[5] for row in truth], np.int32),
        crowd=np.zeros(len(truth), bool),
    )


def both(case: Case, directory: Path) -> tuple[float, float]:
    """Return the mAP of the package and that by hand."""
    file = directory / "model.tflite"
    file.write_bytes(case.content)
    (directory / "labels.txt").write_text("\n".join(LABELS))
    settings = foreign_settings(file, ForeignChoices())
    assert settings is not None
    shown = pictures()
    found = [case.by_hand(case.content, picture) for picture in shown]
    truth = [objects(rows) for rows in found]
    sizes = [picture.shape[1::-1] for picture in shown]
    expected = by_hand.average_precision(truth, found, sizes, len(LABELS))
    examples = [
        example(directory, number, *pair)
        for number, pair in enumerate(zip(shown, truth, strict=True))
    ]
    detector = ForeignDetector(file, settings=settings.to_dict())
    metrics, _ = evaluate(detector, examples, labels=LABELS)
    return metrics.mAP, expected


@pytest.mark.parametrize("name", CASES)
def test_the_map_is_that_by_hand(name: str, tmp_path: Path) -> None:
    measured, expected = both(CASES[name], tmp_path)
    assert 0.02 < expected < 0.98  # else most faults would not show
    assert measured == pytest.approx(expected, abs=CASES[name].tolerance)


def swapped(boxes: np.ndarray, input_hw: tuple[int, int]) -> np.ndarray:
    return yolov8_corners(boxes, input_hw)[:, (1, 0, 3, 2)]


def wrong_scale(boxes: np.ndarray, input_hw: tuple[int, int]) -> np.ndarray:
    return yolov8_corners(boxes, input_hw) * np.float32(1.05)


def from_corner(boxes: np.ndarray, input_hw: tuple[int, int]) -> np.ndarray:
    """Take the upper left corner for the centre."""
    return yolov8_corners(boxes + boxes[:, (2, 3, 2, 3)] / 2 * (1, 1, 0, 0), input_hw)


yolov8_corners = yolov8.to_corners


@pytest.mark.parametrize("fault", [swapped, wrong_scale, from_corner])
def test_faults_of_decoding_are_seen(
    fault: Callable[..., np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(yolov8, "to_corners", fault)
    measured, expected = both(CASES["yolov8"], tmp_path)
    assert abs(measured - expected) > 0.01


def test_a_border_that_is_forgotten_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placement.Placement, "to_picture", lambda self, boxes: boxes)
    measured, expected = both(CASES["yolov8"], tmp_path)
    assert abs(measured - expected) > 0.01
