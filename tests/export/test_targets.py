"""Files for accelerators: decoded with the manifest, they find what the file for CPUs finds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edge_retina.config import Config, ExportConfig, ModelConfig
from edge_retina.export.targets.table import TARGETS
from edge_retina.run_directory import RunDirectory
from edge_retina.runtime.detector import TFLiteDetector
from edge_retina.runtime.graph import Graph, read_graph
from edge_retina.runtime.image import normalize
from edge_retina.runtime.manifest import load_manifest

pytestmark = pytest.mark.tf

LABELS = ("a", "b", "c")
IMAGE_HW = (64, 96)
CELLS = {3: (8, 12), 4: (4, 6), 5: (2, 3)}  # by level
PER_CELL = 2
OTHERS = ("npu", "edgetpu", "ethos-u", "micro")
NAMES = {name: f"tiny_{name}_int8.tflite" for name in OTHERS} | {"gpu": "tiny_gpu_float16.tflite"}


@pytest.fixture(scope="module")
def exports(
    make_retinanet: Callable[..., Any],
    blurred_pictures: Callable[..., Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> SimpleNamespace:
    """Return an export for every target, of one model, and the pictures to try it on."""
    from edge_retina.export.artefact import export_run
    from edge_retina.int8.recipe import Recipe
    from edge_retina.quantization.ranges import measure_ranges
    from edge_retina.quantization.state import QuantizationRecord, deploy_graph, save_quantized
    from edge_retina.quantization.wrapping import build_quantized_model

    root = tmp_path_factory.mktemp("targets")
    model, grid = make_retinanet(image_hw=IMAGE_HW)
    run = RunDirectory(root / "run")
    run.save_labels(LABELS)
    run.save_anchors(grid)
    config = dataclasses.replace(
        Config(),
        name="tiny",
        model=ModelConfig(image_hw=IMAGE_HW, max_level=5, fpn_channels=16, head_depth=1),
        export=ExportConfig(max_detections=50, candidates=200),
    )
    deploy = deploy_graph(model, Recipe(), relu="relu6")
    quantized = build_quantized_model(deploy)
    images = normalize(blurred_pictures(32, 0, IMAGE_HW))
    ranges = measure_ranges(deploy, [images], score_threshold=config.export.score_threshold)
    quantized.set_activation_ranges(ranges)
    quantized.round_biases()
    record = QuantizationRecord("ptq", {"image_ids": []}, 0, ranges)
    save_quantized(run.quantized_dir("ptq"), quantized, record)
    manifest = export_run(
        run,
        root / "out",
        config=config,
        precisions=("float32", "int8"),
        method="ptq",
        targets=tuple(TARGETS),
        trained=model,
    )
    return SimpleNamespace(
        directory=root / "out",
        manifest=manifest,
        grid=grid,
        pictures=blurred_pictures(6, 11, IMAGE_HW),
    )


def graph_of(exports: SimpleNamespace, name: str) -> Graph:
    return read_graph(exports.directory / name)


def test_one_file_for_each_target_beside_those_for_cpus(exports: SimpleNamespace) -> None:
    expected = {"tiny_float32.tflite", "tiny_int8.tflite", *NAMES.values()}
    assert set(exports.manifest.files) == expected | {"labels.txt"}
    assert {path.name for path in exports.directory.iterdir()} == {
        *expected,
        "labels.txt",
        "manifest.json",
    }
    assert load_manifest(exports.directory) == exports.manifest


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("use_xnnpack", [True, False], ids=["xnnpack", "builtin"])
def test_it_finds_what_the_file_with_nms_finds(
    exports: SimpleNamespace, name: str, use_xnnpack: bool
) -> None:
    """int8 files compute the same integers, so all is equal but the last bits of a float."""
    whole = "tiny_float32.tflite" if name == "gpu" else "tiny_int8.tflite"
    expected = TFLiteDetector(exports.directory / whole, use_xnnpack=use_xnnpack)
    detector = TFLiteDetector(exports.directory / NAMES[name], use_xnnpack=use_xnnpack)
    assert detector.labels == LABELS
    total = same = 0
    for picture in exports.pictures:
        wanted, found = expected.predict(picture), detector.predict(picture)
        total += len(wanted)
        if name != "gpu":
            np.testing.assert_array_equal(found.classes, wanted.classes)
            np.testing.assert_allclose(found.scores, wanted.scores, atol=1e-6)
            np.testing.assert_allclose(found.boxes_norm, wanted.boxes_norm, atol=1e-6)
            same += len(found)
        else:  # its weights are rounded to 11 bits
            for box, label, score in zip(
                wanted.boxes_norm, wanted.classes, wanted.scores, strict=True
            ):
                alike = (found.classes == label) & (np.abs(found.scores - score) < 0.02)
                same += bool((alike & (np.abs(found.boxes_norm - box).max(axis=1) < 0.02)).any())
    assert total > 50
    assert same > 0.9 * total
