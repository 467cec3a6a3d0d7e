"""Files without NMS: decoded in numpy they find what the files with NMS find."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from edge_retina.boxes.nms import detect_scored
from edge_retina.runtime.image import normalize

pytestmark = pytest.mark.tf

LEVELS = 3


@pytest.fixture(scope="module")
def raw_int8(int8_detector: SimpleNamespace) -> bytes:
    from edge_retina.export.convert import convert
    from edge_retina.export.raw_graph import raw_function

    return convert(raw_function(int8_detector.quantized.model), int8=True)


@pytest.fixture(scope="module")
def raw_float(int8_detector: SimpleNamespace) -> bytes:
    from edge_retina.export.convert import convert
    from edge_retina.export.raw_graph import raw_function

    return convert(raw_function(int8_detector.deploy), int8=False)


def runner(content: bytes) -> Callable[..., dict[str, np.ndarray]]:
    return Interpreter(model_content=content, num_threads=1).get_signature_runner()


def decoded(raw: dict[str, np.ndarray], detector: SimpleNamespace) -> tuple[np.ndarray, ...]:
    export, grid = detector.export, detector.grid
    return detect_scored(
        raw["scores"][0],
        raw["boxes"][0],
        grid.boxes_norm(),
        score_threshold=export.score_threshold,
        iou_threshold=export.nms_iou,
        max_detections=export.max_detections,
        candidates=export.candidates,
        class_agnostic=export.class_agnostic,
    )


def test_an_int8_file_finds_what_the_one_with_nms_finds(
    int8_detector: SimpleNamespace,
    raw_int8: bytes,
    blurred_pictures: Callable[[int, int], Any],
) -> None:
    """All but boxes of equal scores, of which either file may keep another."""
    one, other = runner(raw_int8), runner(int8_detector.content)
    same = total = 0
    for picture in blurred_pictures(8, 3):
        boxes, classes, scores = decoded(one(image=picture[None]), int8_detector)
        found = other(image=picture[None])
        count = int(found["count"][0])
        total += count
        for box, label, score in zip(boxes, classes, scores, strict=True):
            alike = (
                (found["classes"][0, :count] == label)
                & (np.abs(found["scores"][0, :count] - score) < 1e-5)
                & (np.abs(found["boxes"][0, :count] - box).max(axis=1) < 1e-4)
            )
            same += bool(alike.any())
    assert total > 50
    assert same > 0.95 * total


def test_outputs_in_the_order_of_the_contract(raw_int8: bytes, raw_float: bytes) -> None:
    for content in (raw_int8, raw_float):
        interpreter = Interpreter(model_content=content)
        outputs = interpreter.get_output_details()
        anchors = (64 + 16 + 4) * 2
        assert [tuple(x["shape"]) for x in outputs] == [(1, anchors, 4), (1, anchors, 3)]
        assert {x["dtype"] for x in outputs} == {np.float32}
        named = interpreter.get_signature_runner("serving_default").get_output_details()
        assert [named[name]["index"] for name in ("boxes", "scores")] == [
            x["index"] for x in outputs
        ]


def test_every_level_of_an_int8_file_keeps_its_own_range(raw_int8: bytes) -> None:
    interpreter = Interpreter(model_content=raw_int8, num_threads=1)
    tensors = {x["index"]: x for x in interpreter.get_tensor_details()}
    ops = [op for op in interpreter._get_ops_details() if op["op_name"] != "DELEGATE"]
    sources = [
        tensors[int(index)] for op in ops if op["op_name"] == "DEQUANTIZE" for index in op["inputs"]
    ]
    sources = [tensor for tensor in sources if tensor["dtype"] == np.int8]  # the other: pixels
    assert len(sources) == 2 * LEVELS
    assert len({x["quantization"] for x in sources}) == 2 * LEVELS
    # A sigmoid in int8 would give scores in steps of 1/256
    (sigmoid,) = [op for op in ops if op["op_name"] == "LOGISTIC"]
    assert tensors[int(sigmoid["inputs"][0])]["dtype"] == np.float32


def test_scores_are_the_sigmoid_of_the_logits(
    int8_detector: SimpleNamespace, raw_float: bytes, blurred_pictures: Callable[[int, int], Any]
) -> None:
    from edge_retina.model.deploy import join_levels

    images = normalize(blurred_pictures(1, 5))
    logits, codes = (x.numpy() for x in join_levels(int8_detector.deploy)(images))
    found = runner(raw_float)(image=images)
    np.testing.assert_allclose(found["scores"], 1 / (1 + np.exp(-logits)), atol=1e-4)
    np.testing.assert_allclose(found["boxes"], codes, atol=1e-3 * np.abs(codes).max())


def test_no_operator_that_small_runtimes_lack(raw_int8: bytes, tmp_path: Path) -> None:
    from edge_retina.runtime.graph import read_graph

    path = tmp_path / "raw.tflite"
    path.write_bytes(raw_int8)
    assert {op.name for op in read_graph(path).operators} == {
        "ADD",
        "CONCATENATION",
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "DEQUANTIZE",
        "LOGISTIC",
        "MUL",
        "QUANTIZE",
        "RESHAPE",
    }
