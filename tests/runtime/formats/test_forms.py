"""Which form a file's outputs are of, and what is said where none or another one fits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_retina.errors import ModelError
from edge_retina.runtime.anchor_file import AnchorSet
from edge_retina.runtime.detections import Detections
from edge_retina.runtime.detector import TFLiteDetector
from edge_retina.runtime.foreign import foreign_settings
from edge_retina.runtime.foreign_detector import ForeignDetector
from edge_retina.runtime.foreign_settings import ForeignChoices, ForeignSettings
from edge_retina.runtime.formats.output_format import DecodeContext, ModelTensors
from edge_retina.runtime.formats.table import FORMATS
from edge_retina.runtime.tensor_values import Tensor
from tests.runtime.formats.stand_in import (
    INT8_UNIT,
    UINT8_SIGNED,
    Output,
    stand_in,
    with_postprocess,
)
from tests.runtime.raw_model import write_raw

SIDE = (64, 64)  # 84 cells at strides 8, 16 and 32
ANCHORS = np.random.default_rng(5).uniform(0.2, 0.6, (60, 4)).astype(np.float32)
GOLDEN = Path(__file__).resolve().parents[2] / "golden"


def written(directory: Path, content: bytes, labels: str = "a\nb\nc\n") -> Path:
    path = directory / "m.tflite"
    path.write_bytes(content)
    if labels:
        (directory / "labels.txt").write_text(labels)
    return path


def settings_of(path: Path, **choices: object) -> ForeignSettings:
    settings = foreign_settings(path, ForeignChoices(**choices))  # type: ignore[arg-type]
    assert settings is not None
    return settings


def refusal(path: Path, **choices: object) -> str:
    with pytest.raises(ModelError) as caught:
        settings_of(path, **choices)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def tensors(
    *outputs: tuple[str, tuple[int, ...]], side: int = SIDE[0], **more: object
) -> ModelTensors:
    return ModelTensors(
        input_hw=(side, side),
        outputs=tuple(Tensor(name, shape, "float32") for name, shape in outputs),
        output_names=tuple(name.lower() for name, _ in outputs),
        **more,  # type: ignore[arg-type]
    )


def form_of(model: ModelTensors) -> tuple[str, tuple[int, ...], tuple[int, ...]] | None:
    for name, form in FORMATS.items():
        match = form.match(model)
        if match is not None and form.automatic(model):
            return name, match.order, match.label_counts
    return None


BOXES, ROW, COUNT = (1, 10, 4), (1, 10), (1,)


@pytest.mark.parametrize(
    "model, expected",
    [
        (tensors(("o", (1, 84, 8400)), side=640), ("yolov8", (0,), (80,))),
        (tensors(("o", (1, 8400, 84)), side=640), ("yolov8", (0,), (80,))),
        (tensors(("o", (1, 84, 84))), ("yolov8", (0,), (80,))),  # columns first
        (tensors(("o", (1, 84, 5))), ("yolov8", (0,), (1,))),
        (tensors(("o", (1, 84, 6))), ("yolov8", (0,), (2,))),  # as many rows as cells
        (tensors(("o", (1, 6, 84))), ("yolov8", (0,), (2,))),
        (tensors(("o", (1, 300, 6))), ("end_to_end", (0,), ())),
        (tensors(("o", (1, 300, 84)), side=640), ("end_to_end", (0,), (80,))),
        (
            tensors(("pred_boxes", (1, 100, 4)), ("logits", (1, 100, 92))),
            ("end_to_end", (1, 0), (91, 92, 90)),
        ),
        (
            tensors(("raw/box_encodings", (1, 60, 4)), ("raw/class_predictions", (1, 60, 91))),
            ("ssd_raw", (0, 1), (90, 91)),
        ),
        (
            tensors(("class", (1, 60, 4)), ("box", (1, 60, 4)), ("anchors", (60, 4))),
            ("ssd_raw", (1, 0, 2), (3, 4)),
        ),
        (
            tensors(("a", (1, 60, 9)), ("b", (1, 60, 4)), ("prior", (1, 60, 4))),
            ("ssd_raw", (1, 0, 2), (8, 9)),
        ),
        (
            tensors(
                ("regressors", (1, 896, 16)),
                ("classificators", (1, 896, 1)),
                anchors=AnchorSet(anchors=((0.5, 0.5, 1.0, 1.0),)),
                anchors_inside=True,
            ),
            ("mediapipe", (0, 1), (1,)),
        ),
        (
            tensors(("boxes", BOXES), ("classes", ROW), ("scores", ROW), ("n", COUNT)),
            ("task_library", (0, 1, 2, 3), ()),
        ),
        (
            tensors(("n", ()), ("scores", ROW), ("boxes", BOXES), ("classes", ROW)),
            ("task_library", (2, 3, 1, 0), ()),
        ),
        (
            tensors(
                ("StatefulPartitionedCall:1", ROW),
                ("StatefulPartitionedCall:3", BOXES),
                ("StatefulPartitionedCall:0", COUNT),
                ("StatefulPartitionedCall:2", ROW),
            ),
            ("task_library", (1, 3, 0, 2), ()),
        ),
        (
            tensors(
                ("TFLite_Detection_PostProcess", BOXES),
                ("TFLite_Detection_PostProcess:1", ROW),
                ("TFLite_Detection_PostProcess:2", ROW),
                ("TFLite_Detection_PostProcess:3", COUNT),
            ),
            ("task_library", (0, 1, 2, 3), ()),
        ),
        # one detection only: the count is known by having one side
        (
            tensors(("b", (1, 1, 4)), ("c", (1, 1)), ("s", (1, 1)), ("n", COUNT)),
            ("task_library", (0, 1, 2, 3), ()),
        ),
        (tensors(("o", (1, 1000))), None),
        (tensors(("o", (1, 4, 8400))), None),
        (tensors(("o", (2, 84, 8400))), None),
        (tensors(("o", (1, 80, 80, 255)), ("p", (1, 40, 40, 255))), None),
        (tensors(("a", (1, 60, 4)), ("b", (1, 61, 9))), None),
        (tensors(("a", BOXES), ("b", ROW), ("c", (1, 11)), ("n", COUNT)), None),
    ],
)
def test_forms_by_names_and_shapes(
    model: ModelTensors, expected: tuple[str, tuple[int, ...], tuple[int, ...]] | None
) -> None:
    assert form_of(model) == expected


def test_our_own_files_are_not_foreign(tmp_path: Path) -> None:
    assert foreign_settings(GOLDEN / "tiny_uint8.tflite", ForeignChoices()) is None
    assert foreign_settings(write_raw(tmp_path), ForeignChoices()) is None


def test_the_form_of_our_own_file_finds_the_same() -> None:
    path = GOLDEN / "tiny_uint8.tflite"
    settings = settings_of(path, format="task_library")
    picture = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    own, foreign = TFLiteDetector(path), ForeignDetector(path, settings=settings)
    one, other = own.predict(picture), foreign.predict(picture)
    np.testing.assert_array_equal(one.boxes_norm, other.boxes_norm)
    np.testing.assert_array_equal(one.scores, other.scores)
    assert (own.labels, own.precision, own.input_hw, own.delegate) == (
        foreign.labels,
        foreign.precision,
        foreign.input_hw,
        foreign.delegate,
    )


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (2, 0, 3, 1), (3, 2, 1, 0)])
def test_the_operator_says_which_output_is_which(order: tuple[int, ...], tmp_path: Path) -> None:
    """All files find the same, and what the raw outputs decoded here find."""
    content = with_postprocess(ANCHORS, num_classes=3, input_hw=SIDE, order=order)
    path = written(tmp_path, content)
    # In the order of the contract it is taken for our own form
    settings = settings_of(path, format="task_library")
    assert settings.order == tuple(order.index(place) for place in range(4))
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    found = ForeignDetector(path, settings=settings).predict(picture)
    raw = stand_in(
        [
            Output("boxes", (1, 60, 4)),
            Output("scores", (1, 60, 4), sigmoid=True),
            Output("anchors", (60, 4), values=ANCHORS),
        ],
        input_hw=SIDE,
    )
    (tmp_path / "raw.tflite").write_bytes(raw)
    raw_settings = settings_of(tmp_path / "raw.tflite")
    assert raw_settings.format == "ssd_raw"
    expected = ForeignDetector(tmp_path / "raw.tflite", settings=raw_settings).predict(picture)
    # Pixels are 8 bits: of equal scores either may come first, and the last ones may be others
    pairs = {(round(float(s), 4), int(c)): box for s, c, box in rows(expected)}
    assert len(found) == 10
    for score, label, box in rows(found):
        np.testing.assert_allclose(box, pairs[round(float(score), 4), int(label)], atol=1e-5)


def rows(found: Detections) -> Iterator[tuple[float, int, np.ndarray]]:
    yield from zip(found.scores, found.classes, found.boxes_norm, strict=True)


def test_settings_survive_json_and_say_what_is_done(tmp_path: Path) -> None:
    content = stand_in(
        [Output("boxes", (1, 60, 4)), Output("scores", (1, 60, 3), sigmoid=True)], input_hw=SIDE
    )
    path = written(tmp_path, content)
    anchors = tmp_path / "anchors.json"
    anchors.write_text(json.dumps({"anchors": ANCHORS.tolist()}))
    settings = settings_of(path, anchors=anchors, normalise="127,128", resize="letterbox")
    again = ForeignSettings.from_dict(json.loads(json.dumps(settings.to_dict())))
    assert again.summary == "ssd_raw, letterbox, pixels as 127,128"
    picture = np.random.default_rng(0).integers(0, 256, (64, 50, 3)).astype(np.uint8)
    one, other = (
        ForeignDetector(path, settings=item).predict(picture) for item in (settings, again)
    )
    assert len(one) > 5
    np.testing.assert_array_equal(one.boxes_norm, other.boxes_norm)


@pytest.mark.parametrize("layout", [(1, 7, 84), (1, 84, 7)])
@pytest.mark.parametrize("channels_first", [False, True])
def test_a_painted_detection_of_yolo(
    layout: tuple[int, ...], channels_first: bool, tmp_path: Path
) -> None:
    """One box, centre (.5, .25), .2 wide and .4 high, class b, painted into the pixels."""
    table = np.zeros((7, 84))
    table[:4, 17] = 0.5, 0.25, 0.2, 0.4
    table[5, 17] = 0.8
    values = np.zeros(64 * 64 * 3)
    flat = table.reshape(-1) if layout[1] == 7 else table.T.reshape(-1)
    values[: flat.size] = flat
    pixels = np.rint(values * 255).astype(np.uint8)
    picture = (
        pixels.reshape(3, 64, 64).transpose(1, 2, 0)
        if channels_first
        else pixels.reshape(64, 64, 3)
    )
    content = stand_in([Output("o", layout)], input_hw=SIDE, channels_first=channels_first)
    path = written(tmp_path, content)
    found = ForeignDetector(path, settings=settings_of(path)).predict(np.ascontiguousarray(picture))
    assert found.classes.tolist() == [1]
    np.testing.assert_allclose(found.scores, [0.8], atol=1e-6)
    np.testing.assert_allclose(found.boxes_norm, [[0.05, 0.4, 0.45, 0.6]], atol=0.005)


@pytest.mark.parametrize(
    "form, values",
    [
        ("yolov8", [32.0, 16.0, 12.0, 24.0, 0.1, 0.9]),
        ("end_to_end", [26.0, 4.0, 38.0, 28.0, 0.9, 1.0]),
    ],
)
def test_boxes_in_pixels_are_those_in_fractions(form: str, values: list[float]) -> None:
    context = DecodeContext(SIDE, num_labels=2, anchors=None)
    rows = np.array([[values]], np.float32)
    fractions = rows / np.float32([64, 64, 64, 64, 1, 1])
    for given in (rows, fractions):
        found = FORMATS[form].decode([given], context)
        best = found.scores.argmax()
        np.testing.assert_allclose(
            found.boxes_norm[best], [4 / 64, 26 / 64, 28 / 64, 38 / 64], rtol=1e-6
        )
        assert found.classes[best] == 1
        assert found.scores[best] == np.float32(0.9)


def test_scores_of_a_detr_and_of_an_rt_detr_by_hand() -> None:
    boxes = np.array([[[0.5, 0.5, 0.2, 0.4], [0.1, 0.1, 0.1, 0.1]]], np.float32)
    logits = np.log(np.array([[[0.2, 0.7, 0.1], [0.05, 0.05, 0.9]]], np.float32))
    decode = FORMATS["end_to_end"].decode
    found = decode([logits, boxes], DecodeContext(SIDE, num_labels=2, anchors=None))
    np.testing.assert_allclose(found.scores, [0.7, 0.05], rtol=1e-5)
    assert found.classes.tolist() == [1, 0]
    np.testing.assert_allclose(found.boxes_norm[0], [0.3, 0.4, 0.7, 0.6], rtol=1e-5)
    # as many columns as labels: a sigmoid each, the best pairs of query and class
    found = decode([logits, boxes], DecodeContext(SIDE, num_labels=3, anchors=None))
    np.testing.assert_allclose(found.scores, [0.9 / 1.9, 0.7 / 1.7], rtol=1e-5)
    assert found.classes.tolist() == [2, 1]
    # a class 0 without a name, which the labels don't count
    found = decode([logits, boxes], DecodeContext(SIDE, num_labels=1, anchors=None))
    assert found.classes.tolist() == [0, 0]
    np.testing.assert_allclose(found.scores, [0.7, 0.05], rtol=1e-5)


def test_nothing_found() -> None:
    for form in ("yolov8", "end_to_end"):
        empty = np.zeros((1, 84, 6), np.float32)
        found = FORMATS[form].decode([empty], DecodeContext(SIDE, num_labels=2, anchors=None))
        assert found.boxes_norm.shape == (0, 4)
        assert len(found.scores) == len(found.classes) == 0


def test_an_unknown_form(tmp_path: Path) -> None:
    path = written(tmp_path, stand_in([Output("o", (1, 10, 10, 3))], input_hw=SIDE))
    message = refusal(path)
    assert message.startswith(
        f"{path}: its outputs o [1,10,10,3] float32 are of no known form; known are task_library: "
        "boxes [1,N,4], classes [1,N], scores [1,N], count [1]; mediapipe: "
    )
    assert "; yolov8: [1,4+K,N] or [1,N,4+K]; ssd_raw: " in message


def test_a_form_that_does_not_fit(tmp_path: Path) -> None:
    path = written(tmp_path, stand_in([Output("o", (1, 10, 10, 3))], input_hw=SIDE))
    assert refusal(path, format="yolov8") == (
        f"--format yolov8: {path} has the outputs o [1,10,10,3] float32; yolov8 needs [1,4+K,N] or "
        "[1,N,4+K]"
    )


def test_labels_of_the_wrong_length(tmp_path: Path) -> None:
    path = written(tmp_path, stand_in([Output("o", (1, 7, 84))], input_hw=SIDE), "a\nb\n")
    assert refusal(path) == (
        f"{tmp_path / 'labels.txt'}: 2 class names, but {path} has scores of 3 classes (form "
        "yolov8); the list is another model's: pass --labels FILE"
    )
    assert "--labels coco80: 80 class names" in refusal(path, labels="coco80")


def test_no_labels(tmp_path: Path) -> None:
    path = written(tmp_path, stand_in([Output("o", (1, 7, 84))], input_hw=SIDE), labels="")
    assert refusal(path) == (
        f"{path}: no class names, neither inside the file nor in a labels.txt or metadata.yaml "
        "beside it; pass --labels FILE with 3 names, one a line, or --labels coco80 or --labels "
        "coco91"
    )


def test_anchors_that_are_not_known(tmp_path: Path) -> None:
    outputs = [Output("boxes", (1, 60, 4)), Output("scores", (1, 60, 3), sigmoid=True)]
    path = written(tmp_path, stand_in(outputs, input_hw=SIDE))
    message = refusal(path)
    assert (
        "are codes relative to anchors, which are neither in its metadata nor an output" in message
    )
    assert "pass --anchors FILE (docs/foreign.md)" in message
    anchors = tmp_path / "anchors.json"
    anchors.write_text(json.dumps({"anchors": ANCHORS[:59].tolist()}))
    assert "outputs are of 60 anchors, but 59 are given" in refusal(path, anchors=anchors)


def test_yolov5_is_told_apart(tmp_path: Path) -> None:
    path = written(tmp_path, stand_in([Output("o", (1, 252, 8))], input_hw=SIDE))
    assert "is YOLOv5's, with a column of objectness, which is not supported" in refusal(path)


def test_8_bit_rows_of_scores_and_classes_are_refused(tmp_path: Path) -> None:
    kind = (np.int8, (80 / 255,), -128)
    path = written(tmp_path, stand_in([Output("o", (1, 30, 6))], input_hw=SIDE, kind=kind))
    assert "steps of 0.314, too coarse for scores" in refusal(path)


def test_an_input_that_is_no_picture(tmp_path: Path) -> None:
    from tests.runtime.foreign_model import ForeignModel

    model = ForeignModel()
    row = model.tensor("row", (1, 10))
    path = written(tmp_path, model.content([row], [row]))
    assert "expected one input [1,H,W,3] or [1,3,H,W] of uint8, float32, int8" in refusal(path)


def test_scores_that_are_none(tmp_path: Path) -> None:
    """Logits read as scores: refused at the first picture, not silently wrong."""
    path = written(tmp_path, stand_in([Output("o", (1, 7, 84))], input_hw=SIDE))
    settings = settings_of(path, normalise="0..255")
    with pytest.raises(ModelError) as caught:
        ForeignDetector(path, settings=settings).predict(np.full((64, 64, 3), 200, np.uint8))
    assert str(caught.value).startswith(f"{path}: scores of 200..200, but they must be in 0..1")


def test_a_class_without_a_label(tmp_path: Path) -> None:
    content = stand_in(
        [
            Output("boxes", (1, 5, 4)),
            Output("classes", (1, 5), values=np.array([0, 1, 2, 3, 4])),
            Output("scores", (1, 5)),
            Output("count", (1,), values=np.array([5])),
        ],
        input_hw=SIDE,
        kind=UINT8_SIGNED,
    )
    path = written(tmp_path, content)
    detector = ForeignDetector(path, settings=settings_of(path))
    with pytest.raises(ModelError, match=r"found classes 0\.\.4, but has only 3 labels"):
        detector.predict(np.full((64, 64, 3), 200, np.uint8))


def test_a_label_of_the_background_is_left_out(tmp_path: Path) -> None:
    content = stand_in([Output("o", (1, 7, 84))], input_hw=SIDE, kind=INT8_UNIT)
    path = written(tmp_path, content, "background\na\nb\nc\n")
    assert settings_of(path).labels == ("a", "b", "c")
