"""Files for accelerators: decoded with the manifest, they find what the file for CPUs finds."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edge_retina.config import Config, ModelConfig
from edge_retina.run_directory import RunDirectory
from edge_retina.runtime.detector import TFLiteDetector
from edge_retina.runtime.graph import Graph, read_graph
from edge_retina.runtime.inspection import inspect_model
from edge_retina.runtime.manifest import load_manifest
from edge_retina.runtime.metadata import read_metadata
from edge_retina.runtime.model_file import read_labels

pytestmark = pytest.mark.tf

LABELS = ("a", "b", "c")
CELLS = {3: (8, 8), 4: (4, 4), 5: (2, 2)}  # by level, of two anchors each
INT8 = ("npu", "edgetpu", "ethos-u", "micro")
NAMES = {name: f"tiny_{name}_int8.tflite" for name in INT8} | {"gpu": "tiny_gpu_float16.tflite"}
WHOLE = "tiny_int8.tflite"


@pytest.fixture(scope="module")
def exports(
    int8_detector: SimpleNamespace,
    blurred_pictures: Callable[..., Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> SimpleNamespace:
    """Return an export for every target but CPUs; the file for these lies in a place of its own."""
    from edge_retina.export.artefact import export_run
    from edge_retina.quantization.state import QuantizationRecord, save_quantized

    root = tmp_path_factory.mktemp("targets")
    run = RunDirectory(root / "run")
    run.save_labels(LABELS)
    run.save_anchors(int8_detector.grid)
    config = dataclasses.replace(
        Config(),
        name="tiny",
        model=ModelConfig(image_hw=(64, 64), max_level=5, fpn_channels=16, head_depth=1),
        export=int8_detector.export,
    )
    record = QuantizationRecord("ptq", {"image_ids": []}, 0, int8_detector.ranges)
    save_quantized(run.quantized_dir("ptq"), int8_detector.quantized, record)
    manifest = export_run(
        run,
        root / "out",
        config=config,
        method="ptq",
        targets=tuple(NAMES),
        trained=int8_detector.model,
    )
    (root / "cpu").mkdir()
    (root / "cpu" / WHOLE).write_bytes(int8_detector.content)
    (root / "cpu" / "labels.txt").write_text("".join(f"{label}\n" for label in LABELS))
    return SimpleNamespace(
        directory=root / "out",
        whole=root / "cpu" / WHOLE,
        manifest=manifest,
        pictures=blurred_pictures(6, 11),
    )


def graph_of(exports: SimpleNamespace, name: str) -> Graph:
    return read_graph(exports.directory / NAMES[name])


def test_one_file_for_each_target(exports: SimpleNamespace) -> None:
    expected = {*NAMES.values(), "labels.txt"}
    assert set(exports.manifest.files) == expected
    assert {path.name for path in exports.directory.iterdir()} == {*expected, "manifest.json"}
    assert load_manifest(exports.directory) == exports.manifest
    assert exports.manifest.outputs == ()  # no file has boxes, scores or a count
    assert exports.manifest.input.dtype == {
        "tiny_gpu_float16.tflite": "float32",
        "tiny_npu_int8.tflite": "int8",
        "tiny_edgetpu_int8.tflite": "uint8",
        "tiny_ethos-u_int8.tflite": "int8",
        "tiny_micro_int8.tflite": "int8",
    }


@pytest.mark.parametrize("name", INT8)
@pytest.mark.parametrize("use_xnnpack", [True, False], ids=["xnnpack", "builtin"])
def test_an_int8_file_finds_exactly_what_the_one_with_nms_finds(
    exports: SimpleNamespace, name: str, use_xnnpack: bool
) -> None:
    """The integers are the same, so all is equal but the last bits of a float."""
    expected = TFLiteDetector(exports.whole, use_xnnpack=use_xnnpack)
    detector = TFLiteDetector(exports.directory / NAMES[name], use_xnnpack=use_xnnpack)
    total = 0
    for picture in exports.pictures:
        wanted, found = expected.predict(picture), detector.predict(picture)
        total += len(wanted)
        np.testing.assert_array_equal(found.classes, wanted.classes)
        np.testing.assert_allclose(found.scores, wanted.scores, atol=1e-6)
        np.testing.assert_allclose(found.boxes_norm, wanted.boxes_norm, atol=1e-6)
    assert total > 50


def test_the_gpu_file_finds_what_the_float_model_finds(
    exports: SimpleNamespace, int8_detector: SimpleNamespace
) -> None:
    """But for weights of 11 bits."""
    from edge_retina.evaluation.agreement import compare_detections
    from edge_retina.model.deploy import join_levels
    from edge_retina.model.predictor import KerasPredictor

    reference = KerasPredictor(
        join_levels(int8_detector.deploy),
        anchors=int8_detector.grid,
        labels=LABELS,
        export=int8_detector.export,
    )
    detector = TFLiteDetector(exports.directory / NAMES["gpu"])
    assert detector.precision == "float16"
    total = found = 0
    for picture in exports.pictures:
        expected = reference.predict(picture)
        total += len(expected)
        compared = compare_detections(
            expected, detector.predict(picture), min_iou=0.95, score_tolerance=0.02
        )
        found += compared.scores
    assert total > 50
    assert found > 0.9 * total


@pytest.mark.parametrize("name", NAMES)
def test_the_layout_says_what_the_file_has(exports: SimpleNamespace, name: str) -> None:
    layout = exports.manifest.layouts[NAMES[name]]
    graph = graph_of(exports, name)
    assert (layout.target, layout.form) == (name, "levels")
    assert [(output.name, output.content, output.level) for output in layout.outputs] == [
        *((f"cls_p{level}", "logits", level) for level in CELLS),
        *((f"box_p{level}", "codes", level) for level in CELLS),
    ]
    is_int8 = name in INT8
    for place, output in enumerate(layout.outputs):
        channels = 2 * (len(LABELS) if output.content == "logits" else 4)
        tensor = graph.output_tensors[place]
        assert output.index == place
        assert output.shape == tensor.shape == (1, *CELLS[output.level or 0], channels)
        assert output.dtype == tensor.dtype == ("int8" if is_int8 else "float32")
        scales = (tensor.scales, tensor.zero_points) if is_int8 else ((1.0,), (0,))
        assert ((output.scale,), (output.zero_point,)) == scales
    if is_int8:  # no level is forced into the range of another
        assert len({output.scale for output in layout.outputs}) == len(layout.outputs)


@pytest.mark.parametrize("name", INT8)
def test_an_int8_file_is_int8_from_end_to_end(exports: SimpleNamespace, name: str) -> None:
    graph = graph_of(exports, name)
    counts = Counter(op.name for op in graph.operators)
    assert counts.pop("QUANTIZE", 0) == (name == "edgetpu")
    assert set(counts) == {"ADD", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "RESHAPE"}
    assert counts["RESHAPE"] == 4  # of the upsampling, none behind a head
    makers = {index: op.name for op in graph.operators for index in op.outputs}
    assert [makers[index] for index in graph.outputs] == ["CONV_2D"] * 6
    computed = {t.dtype for op in graph.operators for t in graph.activations(op)}
    assert computed == ({"int8", "uint8"} if name == "edgetpu" else {"int8"})
    scale, zero = {"uint8": (1 / 128, 128), "int8": (1 / 128, 0)}[graph.input_tensors[0].dtype]
    assert graph.input_tensors[0].scales == (scale,)
    assert graph.input_tensors[0].zero_points == (zero,)


@pytest.mark.parametrize("name", INT8)
def test_xnnpack_takes_all_but_the_pixels_as_one_piece(exports: SimpleNamespace, name: str) -> None:
    found = inspect_model(exports.directory / NAMES[name]).xnnpack
    assert found is not None
    assert found.partitions == 1
    assert [entry.name for entry in found.left] == (["QUANTIZE"] if name == "edgetpu" else [])


def test_the_gpu_file_is_float_with_half_the_weights(exports: SimpleNamespace) -> None:
    graph = graph_of(exports, "gpu")
    names = {op.name for op in graph.operators}
    assert "RESIZE_NEAREST_NEIGHBOR" in names
    assert names.isdisjoint({"CONCATENATION", "RESHAPE", "QUANTIZE", "LOGISTIC"})
    stored = {tensor.dtype for tensor in graph.tensors if tensor.is_constant and tensor.shape}
    assert "float16" in stored
    kept = [t for t in graph.tensors if t.is_constant and t.dtype == "float32" and len(t.shape) > 1]
    assert kept == []


@pytest.mark.parametrize("name", NAMES)
def test_metadata_and_labels_where_they_cost_nothing(exports: SimpleNamespace, name: str) -> None:
    path = exports.directory / NAMES[name]
    assert read_labels(path) == LABELS  # inside the file, or of the manifest
    metadata = read_metadata(path.read_bytes(), where=name)
    if name in ("ethos-u", "micro"):
        assert metadata is None
        assert path.read_bytes() == (exports.directory / NAMES["micro"]).read_bytes()
        return
    assert metadata is not None
    (graph,) = metadata["subgraph_metadata"]
    assert [tensor["name"] for tensor in graph["output_tensor_metadata"]] == [
        output.name for output in exports.manifest.layouts[NAMES[name]].outputs
    ]
    assert graph["output_tensor_metadata"][0]["description"] == (
        "Class logits of each cell's anchors, stride 8"
    )
    assert b"labels.txt" in path.read_bytes()


def test_a_file_that_breaks_a_rule_leaves_nothing_behind(
    int8_detector: SimpleNamespace,
    exports: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The check is of the written file, whatever was meant to be in it."""
    from edge_retina.errors import ExportError
    from edge_retina.export import artefact, levels_file

    content = (exports.directory / NAMES["edgetpu"]).read_bytes()
    monkeypatch.setattr(levels_file.LevelsFiles, "content", lambda self, target: content)
    out = exports.directory.parent / "refused"
    run = RunDirectory(exports.directory.parent / "run")
    with pytest.raises(ExportError) as caught:
        artefact.export_run(
            run,
            out,
            config=dataclasses.replace(Config(), name="tiny"),
            method="ptq",
            targets=("npu",),
            trained=int8_detector.model,
        )
    message = str(caught.value)
    assert message.startswith(
        "tiny_npu_int8.tflite: target npu can't run operator 0, QUANTIZE to '"
    )
    assert " is uint8; it takes only activations of int8 (https://" in message
    assert not out.exists()
    assert [path.name for path in exports.directory.parent.glob(".refused*")] == []
