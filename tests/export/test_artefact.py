"""The export directory of a small random model: its files, its manifest, what is refused."""

from __future__ import annotations

import dataclasses
import os
import runpy
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from edge_retina.config import Config, ExportConfig, ModelConfig
from edge_retina.errors import ExportError
from edge_retina.evaluation.agreement import compare_detections
from edge_retina.files import sha256_file
from edge_retina.run_directory import RunDirectory
from edge_retina.runtime.detections import Detections
from edge_retina.runtime.detector import TFLiteDetector
from edge_retina.runtime.image import normalize
from edge_retina.runtime.inspection import inspect_model
from edge_retina.runtime.manifest import Manifest, load_manifest

pytestmark = pytest.mark.tf

LABELS = ("a", "b", "c")
IMAGE_HW = (64, 96)
ANCHORS = (8 * 12 + 4 * 6 + 2 * 3) * 2


@pytest.fixture(scope="module")
def exports(
    make_retinanet: Callable[..., Any],
    blurred_pictures: Callable[[int, int], Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> SimpleNamespace:
    """Export directories with NMS inside and without, of one float model.

    The raw file is compared with a model that has one object elsewhere.
    """
    from edge_retina.export import artefact
    from edge_retina.model.predictor import KerasPredictor

    class OneObjectElsewhere(KerasPredictor):
        """Puts the best object of the first image into a corner."""

        images = 0

        def predict(self, image_rgb: np.ndarray) -> Detections:
            found = super().predict(image_rgb)
            self.images += 1
            if self.images == 1:
                found.boxes_norm[0] = (0, 0, 0.001, 0.001)
            return found

    root = tmp_path_factory.mktemp("artefact")
    model, grid = make_retinanet(image_hw=IMAGE_HW)
    pictures = []
    for index, picture in enumerate(blurred_pictures(4, 11, IMAGE_HW)):
        pictures.append(root / f"{index}.png")
        cv2.imwrite(str(pictures[-1]), picture)
    config = dataclasses.replace(
        Config(),
        name="tiny",
        model=ModelConfig(image_hw=IMAGE_HW, max_level=5, fpn_channels=16, head_depth=1),
        export=ExportConfig(max_detections=50, candidates=200),
    )
    run = RunDirectory(root / "run")
    run.save_labels(LABELS)
    run.save_anchors(grid)
    quantize(run, model, config, blurred_pictures(32, 0, IMAGE_HW))
    synced: set[int] = set()  # inodes, which a rename keeps
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: synced.add(os.fstat(file).st_ino))

        def export(name: str, precisions: tuple[str, ...], *, nms: bool) -> Manifest:
            return artefact.export_run(
                run,
                root / name,
                config=config,
                precisions=precisions,
                pictures=pictures,
                nms=nms,
                decoders=() if nms else ("python", "swift"),
                trained=model,
            )

        with_nms = export("nms", ("float32", "float16"), nms=True)
        patch.setattr(artefact, "KerasPredictor", OneObjectElsewhere)
        raw = export("raw", ("float32",), nms=False)
    # Not verified: a random network makes other boxes of the few roundings that differ
    int8 = artefact.export_run(
        run, root / "int8", config=config, precisions=("int8",), method="ptq", trained=model
    )
    return SimpleNamespace(
        root=root,
        run=run,
        config=config,
        pictures=pictures,
        with_nms=with_nms,
        raw=raw,
        int8=int8,
        synced=synced,
    )


def test_every_file_is_on_the_disk_before_it_is_published(exports: SimpleNamespace) -> None:
    files = [path for name in ("nms", "raw") for path in (exports.root / name).iterdir()]
    assert len(files) == 4 + 5  # decoders are written beside the file without NMS
    assert {path.stat().st_ino for path in files} <= exports.synced


def found_on(exports: SimpleNamespace, file: str) -> list[Detections]:
    detector = TFLiteDetector(exports.root / file)
    return [detector.predict(cv2.imread(str(path))[..., ::-1]) for path in exports.pictures]


def quantize(run: RunDirectory, model: Any, config: Config, pictures: np.ndarray) -> None:
    """Leave the model quantised by PTQ in the RUN."""
    from edge_retina.int8.recipe import Recipe
    from edge_retina.quantization.ranges import measure_ranges
    from edge_retina.quantization.state import QuantizationRecord, deploy_graph, save_quantized
    from edge_retina.quantization.wrapping import build_quantized_model

    deploy = deploy_graph(model, Recipe(), relu="relu6")
    quantized = build_quantized_model(deploy)
    threshold = config.export.score_threshold
    ranges = measure_ranges(deploy, [normalize(pictures)], score_threshold=threshold)
    quantized.set_activation_ranges(ranges)
    quantized.round_biases()
    record = QuantizationRecord("ptq", {"image_ids": []}, 0, ranges)
    save_quantized(run.quantized_dir("ptq"), quantized, record)


DECODERS = {"tiny_raw_float32_decoder.py", "TinyRawFloat32Decoder.swift"}


def manifests(exports: SimpleNamespace) -> dict[str, Manifest]:
    return {"nms": exports.with_nms, "raw": exports.raw, "int8": exports.int8}


def test_files_are_those_that_the_manifest_describes(exports: SimpleNamespace) -> None:
    expected = {
        "nms": {"tiny_float32.tflite", "tiny_float16.tflite"},
        "int8": {"tiny_int8.tflite"},
        "raw": {"tiny_raw_float32.tflite"},
    }
    for directory, manifest in manifests(exports).items():
        others = {"labels.txt"} | (DECODERS if directory == "raw" else set())
        assert set(manifest.files) == expected[directory] | others
        assert manifest.input.dtype == {
            name: "uint8" if "int8" in name else "float32" for name in expected[directory]
        }
        assert (manifest.input.height, manifest.input.width) == IMAGE_HW
        for name, entry in manifest.files.items():
            path = exports.root / directory / name
            assert (entry.bytes, entry.sha256) == (path.stat().st_size, sha256_file(path))
        assert load_manifest(exports.root / directory) == manifest


def test_outputs_of_the_manifest(exports: SimpleNamespace) -> None:
    def outputs(manifest: Manifest) -> list[tuple[str, int, tuple[int, ...]]]:
        return [dataclasses.astuple(output) for output in manifest.outputs]

    assert outputs(exports.raw) == [("boxes", 0, (1, ANCHORS, 4)), ("scores", 1, (1, ANCHORS, 3))]
    assert outputs(exports.with_nms) == [
        ("boxes", 0, (1, 50, 4)),
        ("classes", 1, (1, 50)),
        ("scores", 2, (1, 50)),
        ("count", 3, (1,)),
    ]


def test_layouts_are_of_the_files_without_nms(exports: SimpleNamespace) -> None:
    assert exports.with_nms.layouts == exports.int8.layouts == {}
    (layout,) = exports.raw.layouts.values()
    assert list(exports.raw.layouts) == ["tiny_raw_float32.tflite"]
    assert (layout.target, layout.form, layout.input.shape) == ("cpu", "flat", (1, *IMAGE_HW, 3))
    assert [dataclasses.astuple(output) for output in layout.outputs] == [
        ("boxes", 0, (1, ANCHORS, 4), "float32", 1.0, 0, "codes", None),
        ("scores", 1, (1, ANCHORS, 3), "float32", 1.0, 0, "scores", None),
    ]


def test_a_device_can_decode_with_the_manifest_alone(exports: SimpleNamespace) -> None:
    """Written from the manifest's words, with nothing of this package but its first output."""
    manifest = load_manifest(exports.root / "raw").to_dict()
    anchors = manifest["anchors"]
    image_hw = manifest["input"]["height"], manifest["input"]["width"]
    assert anchors["order"] == "level, row, column, shape"
    boxes = []
    for level, shapes in enumerate(anchors["shapes"], start=anchors["min_level"]):
        stride = 2**level
        rows, columns = (range(-(-side // stride)) for side in image_hw)
        boxes += [
            ((row + 0.5) * stride, (column + 0.5) * stride, height, width)
            for row in rows
            for column in columns
            for height, width in shapes
        ]
    assert len(boxes) == anchors["count"] == ANCHORS
    y, x, h, w = np.array(boxes).T / np.array([*image_hw, *image_hw])[:, None]

    detector = TFLiteDetector(exports.root / "raw" / "tiny_raw_float32.tflite")
    picture = cv2.imread(str(exports.pictures[0]))[..., ::-1]
    codes, scores = detector.invoke(detector.preprocess(picture))
    best = int(scores[0].max(axis=1).argmax())
    assert anchors["box_code"]["order"] == "ty, tx, th, tw"
    ty, tx, th, tw = codes[0, best] / anchors["box_code"]["scales"]
    cy, cx = ty * h[best] + y[best], tx * w[best] + x[best]
    th, tw = np.minimum([th, tw], anchors["box_code"]["max_log_size"])
    half_h, half_w = h[best] * np.exp(th) / 2, w[best] * np.exp(tw) / 2
    box = np.clip([cy - half_h, cx - half_w, cy + half_h, cx + half_w], 0, 1)
    found = detector.predict(picture)
    np.testing.assert_allclose(found.boxes_norm[0], box, atol=1e-5)
    assert found.scores[0] == pytest.approx(scores[0, best].max(), abs=1e-5)


def test_without_nms_the_same_is_found(exports: SimpleNamespace) -> None:
    with_nms = found_on(exports, "nms/tiny_float32.tflite")
    raw = found_on(exports, "raw/tiny_raw_float32.tflite")
    assert sum(map(len, raw)) > 50
    for one, other in zip(with_nms, raw, strict=True):
        np.testing.assert_array_equal(one.classes, other.classes)
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)
        np.testing.assert_allclose(one.boxes_norm, other.boxes_norm, atol=1e-4)


def test_the_decoder_beside_a_raw_file_finds_the_same(exports: SimpleNamespace) -> None:
    """Imported as an app would import it, and given what the interpreter hands over."""
    path = exports.root / "raw" / "tiny_raw_float32_decoder.py"
    module = runpy.run_path(str(path))
    assert module["is_model"](exports.root / "raw" / "tiny_raw_float32.tflite")
    assert module["LABELS"] == LABELS
    detector = TFLiteDetector(exports.root / "raw" / "tiny_raw_float32.tflite")
    picture = cv2.imread(str(exports.pictures[0]))[..., ::-1]
    expected = detector.predict(picture)
    found = module["decode"](detector.invoke(detector.preprocess(picture)))
    assert [item.class_index for item in found] == expected.classes.tolist()
    np.testing.assert_allclose([item[:4] for item in found], expected.boxes_norm, atol=1e-6)


def test_every_file_takes_images_that_are_not_square(exports: SimpleNamespace) -> None:
    height, width = IMAGE_HW
    for directory, manifest in manifests(exports).items():
        for name in set(manifest.files) - {"labels.txt"} - DECODERS:
            path = exports.root / directory / name
            assert TFLiteDetector(path).input_hw == IMAGE_HW
            seen = inspect_model(path)
            assert [tensor.shape for tensor in seen.inputs] == [(1, height, width, 3)]
            assert seen.clients[0].accepts
            (image,) = seen.metadata["subgraph_metadata"][0]["input_tensor_metadata"]
            size = image["content"]["content_properties"]["ImageProperties"]["default_size"]
            assert size == {"width": width, "height": height}


def test_the_int8_file_is_that_of_the_saved_state(exports: SimpleNamespace) -> None:
    """The RUN has no float weights: only a model that is handed on can have been used."""
    assert not exports.run.float_weights.exists()
    assert exports.int8.quantization["method"] == "ptq"
    full, int8 = (
        found_on(exports, "nms/tiny_float32.tflite"),
        found_on(exports, "int8/tiny_int8.tflite"),
    )
    found = sum(
        compare_detections(a, b, min_iou=0.7).classes for a, b in zip(full, int8, strict=True)
    )
    assert found > 0.7 * sum(map(len, full)) > 35


def test_float16_finds_nearly_the_same_in_half_the_size(exports: SimpleNamespace) -> None:
    full = found_on(exports, "nms/tiny_float32.tflite")
    half = found_on(exports, "nms/tiny_float16.tflite")
    found = sum(
        compare_detections(a, b, min_iou=0.95).classes for a, b in zip(full, half, strict=True)
    )
    total = sum(map(len, full))
    assert total > 50
    assert found >= 0.95 * total
    sizes = {name: entry.bytes for name, entry in exports.with_nms.files.items()}
    assert 0.45 < sizes["tiny_float16.tflite"] / sizes["tiny_float32.tflite"] < 0.6


def test_float16_keeps_the_contract(exports: SimpleNamespace) -> None:
    full, half = (
        TFLiteDetector(exports.root / f"nms/tiny_{p}.tflite") for p in ("float32", "float16")
    )
    assert (full.precision, half.precision) == ("float32", "float16")
    assert half.labels == LABELS
    assert half.delegate is not None
    assert half.delegate.nodes_delegated > 0
    picture = cv2.imread(str(exports.pictures[0]))[..., ::-1]
    for one, other in zip(
        full.invoke(full.preprocess(picture)), half.invoke(half.preprocess(picture)), strict=True
    ):
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
        assert other.dtype == np.float32


def test_inspection_of_float16(exports: SimpleNamespace) -> None:
    found = inspect_model(exports.root / "nms" / "tiny_float16.tflite")
    kernels = found.quantization.kernels["CONV_2D"]
    assert kernels["float16"] > 35
    assert kernels["float"] == 0
    assert set(found.quantization.operators) == {"float", "other"}
    verdicts = {item.client.split()[0]: item for item in found.clients}
    assert verdicts["MediaPipe"].accepts
    assert "has no float16" in verdicts["TensorFlow"].reasons


def test_the_manifest_says_how_well_each_file_agrees_with_its_model(
    exports: SimpleNamespace,
) -> None:
    """Of the objects above 0.3 all are found again, but for the one that the fixture moved."""
    objects = sum(
        len(found.above(0.3)) for found in found_on(exports, "raw/tiny_raw_float32.tflite")
    )
    assert objects > 20  # else one of them is more than the 5 % that are allowed
    for manifest, share in ((exports.with_nms, 1.0), (exports.raw, (objects - 1) / objects)):
        assert set(manifest.verification) == set(manifest.files) - {"labels.txt"} - DECODERS
        for name, record in manifest.verification.items():
            # Weights rounded to float16 may turn a pair of near-equal boxes around.
            near = pytest.approx(share, abs=0.02 if "float16" in name else 1e-6)
            shares = dict.fromkeys(("boxes", "classes", "scores"), near)
            assert record == {
                "pictures": 4,
                "agreement": near,
                "kernels": {"xnnpack": shares, "builtin": shares},
            }


@pytest.mark.parametrize("precisions", [("float8",), ("float32", "float8"), ()])
def test_unknown_precisions(exports: SimpleNamespace, precisions: tuple[str, ...]) -> None:
    from edge_retina.export.artefact import export_run

    with pytest.raises(ExportError, match="allowed are float32, float16, int8"):
        export_run(exports.run, exports.root / "x", config=exports.config, precisions=precisions)
    assert not (exports.root / "x").exists()
