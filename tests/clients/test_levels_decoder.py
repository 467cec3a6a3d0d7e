"""The micro client's own decoder, beside the package's."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.files import dump_json
from edge_retina.runtime.raw_layout import LEVELS, RawLayout, RawTensor
from edge_retina.runtime.raw_outputs import LevelsDecoder as PackageDecoder
from edge_retina.schema import to_plain
from tests.clients.client import CLIENTS, target_of
from tests.clients.levels_decoder import LevelsDecoder
from tests.runtime.raw_model import raw_manifest

NAME = "tiny_micro_int8.tflite"
GRID = AnchorGrid((24, 40), 3, (((9.0, 12.0), (16.0, 8.0)), ((20.0, 20.0), (30.0, 15.0))))
NUM_CLASSES = 4


def layout() -> RawLayout:
    """Codes before logits and the coarse level first: the order must come from the layout."""
    tensors = []
    for content, numbers, scale, zero in (("codes", 4, 0.11, 3), ("logits", NUM_CLASSES, 0.05, 90)):
        for level in (4, 3):
            shape = (1, *GRID.cells_hw(level), GRID.per_cell * numbers)
            name = f"{content}_{level}"
            tensors.append(
                RawTensor(name, len(tensors), shape, "int8", scale, zero, content, level)
            )
    image = RawTensor("image", 0, (1, 24, 40, 3), "int8", 1 / 128, 0)
    return RawLayout("micro", LEVELS, image, tuple(tensors))


def write(directory: Path, **changes: object) -> Path:
    manifest = to_plain(raw_manifest())
    manifest["input"] |= {"height": 24, "width": 40}
    manifest["anchors"] = {
        "min_level": 3,
        "shapes": GRID.shapes,
        "box_code": {"scales": [10.0, 10.0, 5.0, 5.0], "max_log_size": float(np.log(1000 / 16))},
    }
    manifest["layouts"] = {NAME: to_plain(layout())}
    manifest["thresholds"] |= changes
    (directory / "manifest.json").write_text(dump_json({"schema_version": 1, **manifest}))
    return directory / NAME


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("class_agnostic", [False, True])
def test_it_finds_what_the_package_finds(tmp_path: Path, seed: int, class_agnostic: bool) -> None:
    generator = np.random.default_rng(seed)
    described = layout().outputs
    outputs = [generator.integers(-128, 128, tensor.shape, np.int8) for tensor in described]
    path = write(tmp_path, class_agnostic=class_agnostic, max_detections=20)
    boxes, classes, scores, count = LevelsDecoder(path).decode(outputs)
    settings = {
        "score_threshold": 0.05,
        "iou_threshold": 0.5,
        "max_detections": 20,
        "candidates": 100,
        "class_agnostic": class_agnostic,
    }
    package = PackageDecoder(GRID.boxes_norm(), settings, described, NUM_CLASSES)
    expected = package.decode(*outputs)
    assert count == len(expected) > 5
    np.testing.assert_array_equal(classes, expected.classes)
    np.testing.assert_allclose(boxes, expected.boxes_norm, atol=1e-5)
    np.testing.assert_allclose(scores, expected.scores, atol=1e-6)


def test_nothing_above_the_threshold(tmp_path: Path) -> None:
    outputs = [np.full(tensor.shape, -128, np.int8) for tensor in layout().outputs]
    *_, count = LevelsDecoder(write(tmp_path)).decode(outputs)
    assert count == 0


def test_each_file_goes_to_the_clients_of_its_target(tmp_path: Path) -> None:
    path = write(tmp_path)
    assert target_of(path) == "micro"
    assert [client.name for client in CLIENTS if client.takes(path)] == ["TensorFlow Lite Micro"]
    with_nms = [client for client in CLIENTS if client.takes(tmp_path / "tiny_int8.tflite")]
    assert len(with_nms) == len([client for client in CLIENTS if not client.target])
    assert target_of(tmp_path / "elsewhere" / NAME) == ""
    assert dataclasses.asdict(layout())["target"] == "micro"
