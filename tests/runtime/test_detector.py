from __future__ import annotations

import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge_retina.errors import ModelError
from edge_retina.runtime.detector import TFLiteDetector
from edge_retina.runtime.ops import DelegateInfo, LeftOperators

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
UINT8 = (
    GOLDEN / "tiny_uint8.tflite"
)  # labels inside; see make_tiny_detector.py for what it computes


@pytest.fixture
def float_model(tmp_path: Path) -> Path:
    (tmp_path / "labels.txt").write_text("disc\nsquare\n")
    return Path(shutil.copy(GOLDEN / "tiny_float32.tflite", tmp_path))


def grey(value: int, hw: tuple[int, int] = (48, 64)) -> np.ndarray:
    return np.full((*hw, 3), value, np.uint8)


@pytest.mark.parametrize("use_xnnpack", [True, False])
@pytest.mark.parametrize("pixel, score", [(128, 0.5), (192, 0.625), (0, 0.25), (255, 0.748047)])
def test_finds_what_the_formula_says(pixel: int, score: float, use_xnnpack: bool) -> None:
    found = TFLiteDetector(UINT8, use_xnnpack=use_xnnpack).predict(grey(pixel))
    best_first = [(1, score), (0, 0.25)] if score > 0.25 else [(0, 0.25), (1, 0.25)]
    assert found.classes.tolist() == [index for index, _ in best_first]
    np.testing.assert_allclose(found.scores, [value for _, value in best_first], atol=1e-6)
    boxes = {0: [0, 0, 1, 1], 1: [0.1, 0.2, 0.5, 0.6]}
    np.testing.assert_allclose(found.boxes_norm, [boxes[index] for index, _ in best_first])


def test_both_precisions_see_the_same_picture(float_model: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (77, 91, 3), dtype=np.uint8)
    one, other = TFLiteDetector(float_model).predict(image), TFLiteDetector(UINT8).predict(image)
    np.testing.assert_allclose(one.scores, other.scores, atol=1e-6)
    np.testing.assert_array_equal(one.boxes_norm, other.boxes_norm)


def test_stages_have_the_types_of_the_contract(float_model: Path) -> None:
    int8, float32 = TFLiteDetector(UINT8), TFLiteDetector(float_model)
    assert (int8.precision, float32.precision) == ("int8", "float32")
    assert int8.input_hw == (32, 32)
    pixels, normalized = int8.preprocess(grey(64)), float32.preprocess(grey(64))
    assert (pixels.dtype, pixels.shape) == (np.uint8, (1, 32, 32, 3))
    assert (normalized.dtype, normalized.shape) == (np.float32, (1, 32, 32, 3))
    assert np.unique(pixels).tolist() == [64]
    assert np.unique(normalized).tolist() == [-0.5]
    boxes, classes, scores, count = int8.invoke(pixels)
    assert [item.shape for item in (boxes, classes, scores, count)] == [
        (1, 4, 4),
        (1, 4),
        (1, 4),
        (1,),
    ]
    assert count.tolist() == [2.0]


def test_rows_after_the_count_are_left_out_and_boxes_cut_to_the_picture() -> None:
    raw = (
        np.array([[[-0.5, 0.1, 1.5, 0.2], [0, 0, 1, 1], [0.3, 0.3, 0.4, 0.4]]], np.float32),
        np.array([[1, 0, 1]], np.float32),
        np.array([[0.3, 0.9, 0.99]], np.float32),
        np.array([2], np.float32),
    )
    found = TFLiteDetector(UINT8).postprocess(raw)
    np.testing.assert_allclose(found.scores, [0.9, 0.3])
    assert found.classes.tolist() == [0, 1]
    np.testing.assert_allclose(found.boxes_norm, [[0, 0, 1, 1], [0, 0.1, 1, 0.2]])


def test_nothing_found() -> None:
    raw = (np.zeros((1, 4, 4)), np.zeros((1, 4)), np.zeros((1, 4)), np.zeros(1))
    found = TFLiteDetector(UINT8).postprocess(raw)
    assert len(found) == 0
    assert found.boxes_norm.shape == (0, 4)
    assert (found.classes.dtype, found.scores.dtype) == (np.int32, np.float32)


def test_a_class_without_a_label_is_an_error() -> None:
    raw = (np.zeros((1, 1, 4)), np.array([[2.0]]), np.array([[0.9]]), np.ones(1))
    with pytest.raises(ModelError, match=r"found classes 2\.\.2, but has only 2 labels"):
        TFLiteDetector(UINT8).postprocess(raw)


def test_xnnpack_is_reported_and_can_be_switched_off(float_model: Path) -> None:
    info = TFLiteDetector(float_model).delegate
    assert info is not None
    assert (info.name, info.partitions) == ("xnnpack", 1)
    assert info.nodes_delegated == info.nodes_total == 13
    uint8 = TFLiteDetector(UINT8).delegate
    assert uint8 is not None
    # XNNPACK does not take the CAST from uint8
    assert (uint8.partitions, uint8.nodes_total - uint8.nodes_delegated) == (1, 1)
    assert TFLiteDetector(float_model, use_xnnpack=False).delegate is None


def test_thread_count_must_be_positive() -> None:
    with pytest.raises(ModelError, match="num_threads must be 1 or more, got 0"):
        TFLiteDetector(UINT8, num_threads=0)


def test_a_model_with_other_tensors_is_named_with_what_it_has(tmp_path: Path) -> None:
    """A copy of the model whose first output is declared a second input."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    graph = schema.ModelT.InitFromObj(schema.Model.GetRootAs(UINT8.read_bytes()))
    graph.subgraphs[0].outputs = graph.subgraphs[0].outputs[:3]
    graph.signatureDefs = []
    builder = flatbuffers.Builder(4096)
    builder.Finish(graph.Pack(builder), b"TFL3")
    path = tmp_path / "three.tflite"
    path.write_bytes(bytes(builder.Output()))
    (tmp_path / "labels.txt").write_text("disc\nsquare\n")
    with pytest.raises(ModelError) as caught:
        TFLiteDetector(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: expected the float32 outputs boxes [1,N,4]")
    assert "found PartitionedCall:0 [1,4,4] float32; " in message
    assert message.endswith("export the model with 'edge-retina export'")


def test_subgraph_order_serves_where_there_is_no_signature(tmp_path: Path) -> None:
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    graph = schema.ModelT.InitFromObj(schema.Model.GetRootAs(UINT8.read_bytes()))
    graph.signatureDefs = []
    builder = flatbuffers.Builder(4096)
    builder.Finish(graph.Pack(builder), b"TFL3")
    path = tmp_path / "bare.tflite"
    path.write_bytes(bytes(builder.Output()))
    (tmp_path / "labels.txt").write_text("disc\nsquare\n")
    np.testing.assert_allclose(TFLiteDetector(path).predict(grey(192)).scores, [0.625, 0.25])


WITHOUT_TENSORFLOW = f"""
import sys
for name in ("tensorflow", "tf_keras", "tensorflow_model_optimization"):
    sys.modules[name] = None
import numpy as np
import edge_retina.benchmark.local, edge_retina.benchmark.worker
import edge_retina.evaluation.annotation, edge_retina.evaluation.evaluator
import edge_retina.evaluation.record
from edge_retina.runtime.detector import TFLiteDetector
print(TFLiteDetector({str(UINT8)!r}).predict(np.full((8, 8, 3), 192, np.uint8)).scores.tolist())
"""


def test_a_device_needs_no_tensorflow() -> None:
    process = subprocess.run(
        [sys.executable, "-c", WITHOUT_TENSORFLOW], capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout.strip() == "[0.625, 0.25]"


def test_what_xnnpack_left_has_a_reason() -> None:
    """The uint8 model begins with a CAST, which XNNPACK doesn't have."""
    info = TFLiteDetector(UINT8).delegate
    assert info is not None
    assert info.left == (LeftOperators("CAST", 1, 0, "XNNPACK has no such operator"),)
    assert DelegateInfo.from_dict(dataclasses.asdict(info)) == info
