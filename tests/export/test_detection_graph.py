from __future__ import annotations

import dataclasses
import functools
from typing import Any
from unittest import mock

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edge_retina.boxes.anchors import AnchorGrid, default_shapes
from edge_retina.boxes.nms import detect, detect_scored
from edge_retina.config import ExportConfig
from edge_retina.errors import ExportError
from edge_retina.runtime.graph import parse_graph

pytestmark = pytest.mark.tf

GRID = AnchorGrid((64, 96), 3, tuple(level[:3] for level in default_shapes((3, 4, 5))))
COUNTS = GRID.level_counts()
ANCHORS = GRID.boxes_px() / np.array([64, 96, 64, 96], np.float32)
THREADS = (1, 2, 3, 4, 8)

SETTINGS = ExportConfig(max_detections=20, candidates=100, score_threshold=0.3)
CASES = {
    "three classes": (3, SETTINGS),
    "one class": (1, SETTINGS),
    "twenty classes": (20, dataclasses.replace(SETTINGS, score_threshold=0.6, candidates=400)),
    "anchors are chosen first": (30, dataclasses.replace(SETTINGS, score_threshold=0.6)),
    "class-agnostic": (5, dataclasses.replace(SETTINGS, class_agnostic=True)),
    "fewer candidates than rows": (3, dataclasses.replace(SETTINGS, candidates=7)),
    "more candidates than pairs": (2, dataclasses.replace(SETTINGS, candidates=5000)),
    "rows are left": (3, dataclasses.replace(SETTINGS, max_detections=200, nms_iou=0.3)),
    "the default threshold": (
        3,
        dataclasses.replace(SETTINGS, score_threshold=0.05, nms_iou=0.95),
    ),
    "nothing above the threshold": (3, dataclasses.replace(SETTINGS, score_threshold=0.9999)),
}
all_cases = pytest.mark.parametrize("case", CASES)


def in_two_stages(case: str) -> Any:
    """Return a context in which the anchors of that case are chosen first, few as they are here."""
    from edge_retina.export import detection_graph

    cost = -1_000_000 if case == "anchors are chosen first" else detection_graph._COST_OF_SORTING
    return mock.patch.object(detection_graph, "_COST_OF_SORTING", cost)


def outputs(num_classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Random logits (A, K), and codes (A, 4) of which some lead out of the image."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-1, 2, (sum(COUNTS), num_classes))
    return logits.astype(np.float32), rng.normal(0, 3, (sum(COUNTS), 4)).astype(np.float32)


def by_level(array: np.ndarray) -> list[np.ndarray]:
    return [part[None] for part in np.split(array, np.cumsum(COUNTS)[:-1])]


def reference(
    values: np.ndarray, codes: np.ndarray, export: ExportConfig, function: Any = detect
) -> tuple[Any, ...]:
    """Return what NumPy makes of logits, or of scores with `detect_scored`."""
    return function(
        values,
        codes,
        ANCHORS,
        score_threshold=export.score_threshold,
        iou_threshold=export.nms_iou,
        max_detections=export.max_detections,
        candidates=export.candidates,
        class_agnostic=export.class_agnostic,
    )


def check(found: dict[str, np.ndarray], expected: tuple[Any, ...], rows: int) -> None:
    boxes, classes, scores = expected
    count = len(scores)
    assert {name: array.shape for name, array in found.items()} == {
        "boxes": (1, rows, 4),
        "classes": (1, rows),
        "scores": (1, rows),
        "count": (1,),
    }
    assert {array.dtype for array in found.values()} == {np.dtype(np.float32)}
    assert found["count"][0] == count
    np.testing.assert_array_equal(found["classes"][0, :count], classes)
    np.testing.assert_allclose(found["scores"][0, :count], scores, atol=1e-6)
    np.testing.assert_allclose(found["boxes"][0, :count], boxes, atol=1e-5)
    for name in ("boxes", "classes", "scores"):
        assert (found[name][0, count:] == 0).all()  # unused rows


@all_cases
def test_tensorflow_equals_numpy(case: str):
    from edge_retina.export.detection_graph import postprocess
    from edge_retina.model.keras import tf

    num_classes, export = CASES[case]
    found_any = 0
    for seed in range(10):
        logits, codes = outputs(num_classes, seed)
        with in_two_stages(case):
            found = postprocess(
                [tf.constant(x) for x in by_level(logits)],
                [tf.constant(x) for x in by_level(codes)],
                anchors_norm=ANCHORS,
                export=export,
            )
        expected = reference(logits, codes, export)
        found_any += len(expected[0])
        check({k: v.numpy() for k, v in found.items()}, expected, export.max_detections)
    assert (found_any == 0) == (case == "nothing above the threshold")


@functools.cache
def tflite_file(case: str) -> bytes:
    """Decoding and NMS alone, from head outputs, in a real file."""
    from edge_retina.export.convert import convert
    from edge_retina.export.detection_graph import postprocess
    from edge_retina.model.keras import tf

    num_classes, export = CASES[case]
    signature = [
        tf.TensorSpec((sum(COUNTS), width), tf.float32, name=name)
        for name, width in (("logits", num_classes), ("codes", 4))
    ]

    @tf.function(input_signature=signature)
    def function(logits: Any, codes: Any) -> dict[str, Any]:
        levels = [[x[None] for x in tf.split(y, COUNTS)] for y in (logits, codes)]
        return postprocess(*levels, anchors_norm=ANCHORS, export=export)

    with in_two_stages(case):
        return convert(function, int8=False)


@all_cases
def test_how_often_it_sorts(case: str):
    names = [op.name for op in parse_graph(tflite_file(case), where=case).operators]
    assert names.count("TOPK_V2") == (3 if case == "anchors are chosen first" else 1)


@pytest.mark.parametrize(
    "anchors, num_classes, sorts",
    [(2134, 3, 1), (2134, 80, 1), (5456, 80, 3), (19206, 3, 1), (19206, 20, 3), (19206, 80, 3)],
)
def test_anchors_are_chosen_first_where_that_saves_time(anchors: int, num_classes: int, sorts: int):
    """Of the sizes in benchmarks/results/nms_designs.md the faster one each."""
    from edge_retina.export.detection_graph import _best_pairs
    from edge_retina.model.keras import tf

    graph = tf.function(lambda margin: _best_pairs(margin, 2000)).get_concrete_function(
        tf.TensorSpec((anchors, num_classes), tf.float32)
    )
    names = [operation.type for operation in graph.graph.get_operations()]
    assert names.count("TopKV2") == sorts


def test_a_score_just_at_the_threshold_counts():
    """What is below it is made equal before the choice; what is on it must not be."""
    case = "three classes"
    num_classes, export = CASES[case]
    at = np.float32(np.log(export.score_threshold / (1 - export.score_threshold)))
    logits = np.full((sum(COUNTS), num_classes), -9, np.float32)
    logits[[5, 60, 150], 1] = at, np.nextafter(at, np.float32(-9)), np.nextafter(at, np.float32(9))
    runner = Interpreter(model_content=tflite_file(case)).get_signature_runner()
    found = runner(logits=logits, codes=np.zeros((sum(COUNTS), 4), np.float32))
    assert found["count"][0] == 2
    np.testing.assert_allclose(found["scores"][0, :2], export.score_threshold, atol=1e-6)


def test_scores_beside_the_threshold_fall_and_stay_in_a_file_without_nms_too():
    """Its sigmoid is LiteRT's. Without XNNPACK it is rounded more, by which one logit may swap."""
    from edge_retina.export.convert import convert
    from edge_retina.model.keras import tf

    case = "the default threshold"
    num_classes, export = CASES[case]
    at = np.float32(np.log(export.score_threshold / (1 - export.score_threshold)))
    logits = np.full((sum(COUNTS), num_classes), -9, np.float32)
    for place in range(9):  # boxes that hardly overlap, from 4 float32 above to 4 below
        logits[20 * place, 1] = at + (place - 4) * np.spacing(at)
    assert len(set(logits[:, 1].tolist())) == 10
    codes = np.zeros((sum(COUNTS), 4), np.float32)
    found = Interpreter(model_content=tflite_file(case)).get_signature_runner()(
        logits=logits, codes=codes
    )
    assert found["count"][0] == 5

    @tf.function(input_signature=[tf.TensorSpec(logits.shape, tf.float32, name="logits")])
    def sigmoid(logits: Any) -> dict[str, Any]:
        return {"boxes": tf.zeros_like(logits), "scores": tf.sigmoid(logits)}

    content = convert(sigmoid, int8=False)
    builtin = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    for kernels, most in ((OpResolverType.AUTO, 0), (builtin, 1)):
        interpreter = Interpreter(model_content=content, experimental_op_resolver_type=kernels)
        scores = interpreter.get_signature_runner()(logits=logits)["scores"]
        expected = reference(scores, codes, export, detect_scored)
        assert abs(len(expected[0]) - 5) <= most
        if not most:
            check(found, expected, export.max_detections)


@all_cases
def test_tflite_equals_numpy_with_any_number_of_threads(case: str):
    num_classes, export = CASES[case]
    runners = [
        Interpreter(model_content=tflite_file(case), num_threads=count).get_signature_runner()
        for count in THREADS
    ]
    for seed in range(10):
        logits, codes = outputs(num_classes, seed)
        first, *others = (runner(logits=logits, codes=codes) for runner in runners)
        check(first, reference(logits, codes, export), export.max_detections)
        for other in others:
            for name, array in first.items():
                np.testing.assert_array_equal(other[name], array)


def test_equal_scores_keep_the_lower_anchor():
    """Two anchors upon each other with one score: which one stays must not be chance."""
    case = "three classes"
    num_classes, export = CASES[case]
    logits = np.full((sum(COUNTS), num_classes), -9, np.float32)
    logits[[10, 11, 100], 1] = 2.0  # 10 and 11 are shapes of one cell
    codes = np.zeros((sum(COUNTS), 4), np.float32)
    expected = reference(logits, codes, export)
    runner = Interpreter(model_content=tflite_file(case)).get_signature_runner()
    check(runner(logits=logits, codes=codes), expected, export.max_detections)


@pytest.mark.parametrize("case", ["three classes", "anchors are chosen first", "class-agnostic"])
def test_equal_scores_are_taken_in_the_order_of_the_reference(case: str):
    """An int8 head gives many equal scores. LiteRT's NMS takes them in the order in which the heap
    of its C++ library gives them out, another in MediaPipe 1.2.2 and browsers than here."""
    num_classes, export = CASES[case]
    runner = Interpreter(model_content=tflite_file(case)).get_signature_runner()
    for seed in range(10):
        logits, codes = outputs(num_classes, seed)
        coarse = np.round(logits * 2) / 2
        found = runner(logits=coarse, codes=codes)
        check(found, reference(coarse, codes, export), export.max_detections)


def test_a_box_outside_the_image_spoils_nothing():
    """LiteRT 2.3.0 keeps a box without area again and again, in all rows that are left."""
    case = "three classes"
    num_classes, export = CASES[case]
    logits = np.full((sum(COUNTS), num_classes), -9, np.float32)
    logits[[0, 60, 150], 1] = 3.0, 2.0, 1.0
    codes = np.zeros((sum(COUNTS), 4), np.float32)
    codes[0, 0] = -30.0  # three heights above the first row: clipped to nothing
    expected = reference(logits, codes, export)
    assert len(expected[2]) == 2
    runner = Interpreter(model_content=tflite_file(case)).get_signature_runner()
    check(runner(logits=logits, codes=codes), expected, export.max_detections)


def test_outputs_are_in_the_order_of_the_contract():
    interpreter = Interpreter(model_content=tflite_file("three classes"))
    rows = SETTINGS.max_detections
    shapes = [tuple(detail["shape"]) for detail in interpreter.get_output_details()]
    assert shapes == [(1, rows, 4), (1, rows), (1, rows), (1,)]
    (signature,) = interpreter.get_signature_list().items()
    assert signature[0] == "serving_default"
    assert set(signature[1]["outputs"]) == {"boxes", "classes", "scores", "count"}
    # classes before scores: both (1, N), so by the name of the signature
    interpreter.allocate_tensors()
    logits, codes = outputs(3, seed=0)
    named = interpreter.get_signature_runner()(logits=logits, codes=codes)
    by_place = [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]
    for name, array in zip(("boxes", "classes", "scores", "count"), by_place, strict=True):
        np.testing.assert_array_equal(array, named[name])


def test_other_outputs_are_refused():
    from edge_retina.export.convert import convert
    from edge_retina.model.keras import tf

    @tf.function(input_signature=[tf.TensorSpec((1, 4), tf.float32, name="x")])
    def function(x: Any) -> dict[str, Any]:
        return {"boxes": x + 1, "labels": x * 2}

    with pytest.raises(ExportError, match=r"has outputs \['boxes', 'labels'\], expected"):
        convert(function, int8=False)


def test_what_the_converter_refuses_is_one_line():
    from edge_retina.export.convert import convert
    from edge_retina.model.keras import tf

    @tf.function(input_signature=[tf.TensorSpec((4, 4), tf.float32, name="x")])
    def function(x: Any) -> dict[str, Any]:
        return {"boxes": tf.linalg.inv(x)}

    with pytest.raises(ExportError, match="the TFLite converter refused the model: ") as caught:
        convert(function, int8=False)
    assert "\n" not in str(caught.value)
