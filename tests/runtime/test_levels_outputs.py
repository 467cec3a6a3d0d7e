"""Files with heads by level: decoded with the layout in the manifest, or refused."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

from edge_retina.boxes.nms import detect
from edge_retina.errors import ModelError
from edge_retina.runtime.detector import TFLiteDetector
from edge_retina.runtime.foreign import foreign_settings
from edge_retina.runtime.foreign_settings import ForeignChoices
from edge_retina.runtime.inspection import inspect_model
from edge_retina.runtime.manifest import load_manifest
from edge_retina.runtime.raw_layout import CODES, LOGITS, RawTensor
from edge_retina.runtime.raw_outputs import LevelsDecoder
from edge_retina.runtime.tensor_contract import level_outputs, parse_level_outputs
from tests.runtime.levels_model import (
    GRID,
    HEIGHT,
    LABELS,
    LAYOUT,
    NAME,
    OUTPUTS,
    WIDTH,
    levels_content,
    write_levels,
)

PICTURE = np.random.default_rng(3).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
SETTINGS = {
    "score_threshold": 0.05,
    "iou_threshold": 0.5,
    "max_detections": 10,
    "candidates": 100,
    "class_agnostic": False,
}


def test_one_box_by_hand() -> None:
    """Second cell of a 1x2 map, second anchor 0.2..0.4, 0.2..0.6: half a height down, class 1."""
    outputs = (
        RawTensor("cls_p3", 0, (1, 1, 2, 4), "int8", 0.5, -10, LOGITS, 3),
        RawTensor("box_p3", 1, (1, 1, 2, 8), "int8", 0.25, 20, CODES, 3),
    )
    anchors = np.array([[0, 0, 0.1, 0.1]] * 3 + [[0.2, 0.2, 0.4, 0.6]], np.float32)
    decoder = LevelsDecoder(anchors, SETTINGS, outputs, num_classes=2)
    logits = np.full((1, 1, 2, 4), -128, np.int8)  # (-128 + 10) * .5 = -59
    logits[0, 0, 1, 3] = -8  # anchor 3, class 1: 1.0
    codes = np.full((1, 1, 2, 8), 20, np.int8)
    codes[0, 0, 1, 4] = 40  # ty of anchor 3: 5.0, half of its height at the scale of 10
    found = decoder.decode(logits, codes)
    assert found.classes.tolist() == [1]
    np.testing.assert_allclose(found.scores, [1 / (1 + math.exp(-1))], atol=1e-6)
    np.testing.assert_allclose(found.boxes_norm, [[0.3, 0.2, 0.5, 0.6]], atol=1e-6)


def expected_inputs(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return logits (A, K) and codes (A, 4), number by number from the words of the layout."""
    found: dict[str, list[list[float]]] = {LOGITS: [], CODES: []}
    for output in OUTPUTS:  # finest level first, as they are listed
        _, rows, columns, channels = output.shape
        numbers = {LOGITS: len(LABELS), CODES: 4}[output.content]
        for row in range(rows):
            for column in range(columns):
                for anchor in range(channels // numbers):
                    start = (row * columns + column) * channels + anchor * numbers
                    stored = values[start : start + numbers].astype(float)
                    found[output.content].append(list((stored - output.zero_point) * output.scale))
    return np.array(found[LOGITS], np.float32), np.array(found[CODES], np.float32)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 1, 0, 2)], ids=["in-order", "shuffled"])
def test_a_detector_of_such_a_file(tmp_path: Path, order: tuple[int, ...]) -> None:
    """By the names in the signature, in whatever order the file has its outputs."""
    detector = TFLiteDetector(write_levels(tmp_path, levels_content(order=order)))
    assert detector.labels == LABELS
    assert detector.precision == "int8"
    values = PICTURE.astype(int) - 128
    np.testing.assert_array_equal(detector.preprocess(PICTURE)[0], values)
    outputs = detector.invoke(detector.preprocess(PICTURE))
    assert [array.shape for array in outputs] == [output.shape for output in OUTPUTS]
    logits, codes = expected_inputs(values.reshape(-1))
    boxes, classes, scores = detect(logits, codes, GRID.boxes_norm(), **SETTINGS)
    found = detector.predict(PICTURE)
    assert len(found) > 3
    np.testing.assert_array_equal(found.classes, classes)
    np.testing.assert_allclose(found.scores, scores, rtol=1e-6)
    np.testing.assert_allclose(found.boxes_norm, boxes, rtol=1e-6)


def test_it_is_one_of_ours_and_not_foreign(tmp_path: Path) -> None:
    assert foreign_settings(write_levels(tmp_path), ForeignChoices()) is None


def test_the_layout_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_levels(tmp_path)
    assert load_manifest(tmp_path).layouts == {NAME: LAYOUT}


def test_who_loads_it(tmp_path: Path) -> None:
    found = {item.client: item for item in inspect_model(write_levels(tmp_path)).clients}
    accepting = {name.split()[0] for name, item in found.items() if item.accepts}
    assert accepting == {"LiteRT", "LiteRT.js", "TensorFlow"}
    (reason,) = found["MediaPipe Tasks ObjectDetector"].reasons
    assert reason.startswith("outputs are the heads of each level, which the app has to decode")


@pytest.mark.parametrize(
    "names, ordered",
    [
        (["box_p3", "cls_p3"], ("cls_p3", "box_p3")),
        (
            ["box_p10", "box_p9", "cls_p10", "cls_p9"],
            ("cls_p9", "cls_p10", "box_p9", "box_p10"),
        ),
        (["box_p3"], None),
        (["box_p3", "cls_p4"], None),
        (["box_p3", "cls_p3", "count"], None),
        (["boxes", "scores"], None),
        ([], None),
    ],
)
def test_names_of_heads_by_level(names: list[str], ordered: tuple[str, ...] | None) -> None:
    assert parse_level_outputs(names) == ordered
    if ordered:
        levels = sorted({int(name.split("_p")[1]) for name in names})
        assert level_outputs(levels) == ordered


def refusal(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        TFLiteDetector(path)
    return str(caught.value)


def test_no_manifest(tmp_path: Path) -> None:
    path = write_levels(tmp_path)
    (tmp_path / "manifest.json").unlink()
    (tmp_path / "labels.txt").write_text("a\nb\nc\n")
    assert refusal(path) == (
        f"{path}: the model has no NMS inside and is decoded with the anchors in "
        f"{tmp_path / 'manifest.json'}, which is missing; keep the file in its export directory, "
        "or export with --target cpu"
    )


def test_a_manifest_without_the_layout(tmp_path: Path) -> None:
    path = write_levels(tmp_path, layouts={})
    assert refusal(path) == (
        f"{tmp_path / 'manifest.json'}: has no layout of {NAME}, so its outputs can't be decoded; "
        "export the model again"
    )


def test_a_layout_of_other_scales(tmp_path: Path) -> None:
    changed = dataclasses.replace(OUTPUTS[1], scale=0.125)
    layout = dataclasses.replace(LAYOUT, outputs=(OUTPUTS[0], changed, *OUTPUTS[2:]))
    message = refusal(write_levels(tmp_path, layouts={NAME: layout}))
    assert message.startswith(
        f"{tmp_path / 'manifest.json'}: describes output cls_p2 of {NAME} as [1,1,2,6] int8 of "
        "scale 0.125 and zero point -5, but it is [1,1,2,6] int8 of scale 0.0625 and zero point -5;"
    )


def test_a_layout_of_fewer_outputs(tmp_path: Path) -> None:
    layout = dataclasses.replace(LAYOUT, outputs=OUTPUTS[:3])
    assert refusal(write_levels(tmp_path, layouts={NAME: layout})) == (
        f"{tmp_path / 'manifest.json'}: describes 3 outputs of {NAME}, but it has 4; the manifest "
        "is another model's: export the model again"
    )


def test_labels_of_another_model(tmp_path: Path) -> None:
    path = write_levels(tmp_path, labels=("a", "b"))
    assert refusal(path) == (
        f"{path}: the model scores 3 classes, but has 2 labels (a, b); the list is another "
        "model's: export the model again"
    )


def test_other_anchors(tmp_path: Path) -> None:
    path = write_levels(tmp_path, anchors={"min_level": 1, "shapes": [[[1.0, 1.0]], [[2.0, 2.0]]]})
    assert refusal(path) == (
        f"{tmp_path / 'manifest.json'}: its anchors are 6, but {NAME} has outputs of 12; the "
        "manifest is another model's: export the model again"
    )


def test_an_int8_image_of_another_scale(tmp_path: Path) -> None:
    path = write_levels(tmp_path, levels_content(input_scale=1 / 255))
    assert refusal(path) == (
        f"{path}: expected an int8 image of scale 1/128 and zero point 0 (pixels less 128), found "
        "scale 0.003921569 and zero point 0; export the model with 'edge-retina export'"
    )


def test_an_int8_image_and_outputs_without_names(tmp_path: Path) -> None:
    """The signature says what the outputs are; without it the file is nobody's."""
    path = write_levels(tmp_path, levels_content(signature=False))
    assert "expected one input [1,H,W,3] of uint8 or float32, found image" in refusal(path)
