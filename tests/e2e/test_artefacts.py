"""What a whole run leaves behind has the names and meanings that clients rely on."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from edge_retina.config import Config
from edge_retina.datasets import Dataset, annotations_sha256
from edge_retina.evaluation.agreement import Agreement, compare_detections
from edge_retina.files import sha256_file
from edge_retina.run_directory import RunDirectory
from edge_retina.runtime.detector import TFLiteDetector
from edge_retina.runtime.image import load_image

pytestmark = [pytest.mark.slow, pytest.mark.tf]

MODELS = ("tiny_float32.tflite", "tiny_int8.tflite")
ROWS = 100  # export.max_detections
FIGURES = ("mAP", "mAP50", "mAP75", "mAP_small", "mAP_medium", "mAP_large", "AR1", "AR10", "AR100")
OUTPUTS = [
    ("boxes", [1, ROWS, 4]),
    ("classes", [1, ROWS]),
    ("scores", [1, ROWS]),
    ("count", [1]),
]


@pytest.fixture(scope="module")
def manifest(whole_run: RunDirectory) -> dict[str, Any]:
    return json.loads((whole_run.export_dir / "manifest.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def evaluation(whole_run: RunDirectory) -> dict[str, Any]:
    return json.loads(whole_run.results_file("evaluate").read_text(encoding="utf-8"))


def opened(path: Path) -> Interpreter:
    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    return interpreter


def test_the_export_directory_holds_these_files_only(whole_run: RunDirectory) -> None:
    names = sorted(path.name for path in whole_run.export_dir.iterdir())
    assert names == ["labels.txt", "manifest.json", *MODELS]


def test_nothing_temporary_is_left(whole_run: RunDirectory) -> None:
    assert list(whole_run.root.rglob(".*")) == []


def test_manifest_fields(manifest: dict[str, Any], config: Config, dataset: Dataset) -> None:
    assert set(manifest) == {
        "schema_version",
        "edge_retina_version",
        "input",
        "outputs",
        "labels",
        "anchors",
        "thresholds",
        "quantization",
        "metrics",
        "files",
        "config",
        "verification",
        "layouts",
    }
    assert manifest["input"] == {
        "height": 64,
        "width": 64,
        "dtype": dict(zip(MODELS, ("float32", "uint8"), strict=True)),
        "mean": 128.0,
        "std": 128.0,
        "resize": "stretch",
        "color": "RGB",
    }
    expected = [{"name": n, "index": i, "shape": shape} for i, (n, shape) in enumerate(OUTPUTS)]
    assert manifest["outputs"] == expected
    assert tuple(manifest["labels"]) == dataset.labels
    assert np.shape(manifest["anchors"]["shapes"]) == (3, 3, 2), "levels, per cell, (h, w)"
    assert manifest["thresholds"] == config.to_dict()["export"]
    assert manifest["config"]["train"] == config.to_dict()["train"]
    assert manifest["config"]["anchors"]["shapes"] == manifest["anchors"]["shapes"]


def test_manifest_says_how_well_the_files_agree_with_their_models(
    whole_run: RunDirectory, config: Config, dataset: Dataset, manifest: dict[str, Any]
) -> None:
    """Counted again, with the models of the RUN: of the objects above 0.3, those found too."""
    from edge_retina.model.deploy import join_levels
    from edge_retina.model.predictor import KerasPredictor, load_float_model
    from edge_retina.quantization.state import load_quantized

    models = {
        "tiny_float32.tflite": (load_float_model(whole_run), 0.99),
        "tiny_int8.tflite": (join_levels(load_quantized(whole_run, "qat")[0].model), 0.9),
    }
    images = [
        load_image(example.path) for example in dataset.split("train")
    ]  # the validation split too
    assert sorted(manifest["verification"]) == sorted(models)
    for name, (model, min_iou) in models.items():
        keras = KerasPredictor(
            model,
            anchors=whole_run.load_anchors(),
            labels=dataset.labels,
            export=config.export,
        )
        expected = [keras.predict(image).above(0.3) for image in images]
        assert sum(map(len, expected)) >= 20, "too little was found for a comparison"
        shares = {}
        for kernels in ("xnnpack", "builtin"):
            detector = TFLiteDetector(whole_run.export_dir / name, use_xnnpack=kernels == "xnnpack")
            found = [
                compare_detections(objects, detector.predict(image), min_iou=min_iou)
                for objects, image in zip(expected, images, strict=True)
            ]
            shares[kernels] = sum(found, start=Agreement()).share("classes")
        record = manifest["verification"][name]
        assert record["pictures"] == len(images)
        assert {kernels: x["classes"] for kernels, x in record["kernels"].items()} == shares
        assert record["agreement"] == min(shares.values())


def test_manifest_says_how_the_model_was_quantised(
    manifest: dict[str, Any], dataset: Dataset
) -> None:
    quantization = manifest["quantization"]
    assert (quantization["method"], quantization["steps"]) == ("qat", 10)
    assert quantization["recipe"]
    calibration = quantization["calibration"]
    assert sorted(calibration["image_ids"]) == sorted(e.image_id for e in dataset.split("train"))
    assert re.fullmatch("[0-9a-f]{64}", calibration["sha256"])


def test_files_are_those_that_the_manifest_describes(
    whole_run: RunDirectory, manifest: dict[str, Any]
) -> None:
    assert sorted(manifest["files"]) == ["labels.txt", *MODELS]
    for name, entry in manifest["files"].items():
        path = whole_run.export_dir / name
        assert entry == {"bytes": path.stat().st_size, "sha256": sha256_file(path)}, name


def test_labels_file(whole_run: RunDirectory, dataset: Dataset) -> None:
    text = (whole_run.export_dir / "labels.txt").read_text(encoding="utf-8")
    assert tuple(text.splitlines()) == dataset.labels


@pytest.mark.parametrize("name, dtype", list(zip(MODELS, (np.float32, np.uint8), strict=True)))
def test_tensors_of_the_files(whole_run: RunDirectory, name: str, dtype: type) -> None:
    interpreter = opened(whole_run.export_dir / name)
    (image,) = interpreter.get_input_details()
    assert (image["shape"].tolist(), image["dtype"]) == ([1, 64, 64, 3], dtype)
    if dtype is np.uint8:  # a pixel value is its own quantised value
        assert image["quantization"] == (pytest.approx(1 / 128), 128)
    outputs = interpreter.get_output_details()
    assert [item["shape"].tolist() for item in outputs] == [shape for _, shape in OUTPUTS]
    assert {item["dtype"] for item in outputs} == {np.float32}
    # The order of the subgraph, which clients read by position, is that of the names.
    runner = interpreter.get_signature_runner("serving_default")
    by_name = runner.get_output_details()
    assert [by_name[name]["index"] for name, _ in OUTPUTS] == [item["index"] for item in outputs]


@pytest.mark.parametrize("name", MODELS)
def test_unused_rows_are_zero(whole_run: RunDirectory, dataset: Dataset, name: str) -> None:
    detector = TFLiteDetector(whole_run.export_dir / name)
    counts = []
    for example in dataset.split("test"):
        *rows, count = detector.invoke(detector.preprocess(load_image(example.path)))
        counts.append(int(count[0]))
        for values in rows:
            assert not values[0, counts[-1] :].any()
    assert min(counts) < ROWS, "no picture left rows unused, so nothing was tested"


def test_metrics_in_the_manifest_are_those_of_the_files(
    manifest: dict[str, Any], evaluation: dict[str, Any], dataset: Dataset
) -> None:
    titles = {"tiny_float32.tflite": "float TFLite", "tiny_int8.tflite": "int8 QAT"}
    for name, title in titles.items():
        assert manifest["metrics"][name] == {
            "mAP": evaluation[title]["mAP"],
            "mAP50": evaluation[title]["mAP50"],
            "images": 8,
            "split": "test",
            "data_sha256": annotations_sha256(dataset.split("test")),
        }
        assert evaluation[title]["model"]["sha256"] == manifest["files"][name]["sha256"]


def test_json_of_the_evaluation(evaluation: dict[str, Any], dataset: Dataset, data: Path) -> None:
    assert list(evaluation) == ["float Keras", "float TFLite", "int8 PTQ", "int8 QAT"]
    for record in evaluation.values():
        assert tuple(record)[: len(FIGURES)] == FIGURES
        assert set(record["per_class"]) == set(dataset.labels)
        assert record["images"] == 8
        assert record["data"]["path"] == str(data)
        assert set(record["model"]) == {"path", "sha256"}
    backends = [record["backend"] for record in evaluation.values()]
    assert backends == ["keras", *["tflite-xnnpack"] * 3]
    assert evaluation["float TFLite"]["mAP"] == pytest.approx(
        evaluation["float Keras"]["mAP"], abs=0.002
    )


def test_json_of_the_benchmark(whole_run: RunDirectory) -> None:
    document = json.loads(whole_run.results_file("benchmark").read_text(encoding="utf-8"))
    measured = {(r["precision"], r["backend"], r["threads"]) for r in document["results"]}
    tflite = {
        (precision, f"tflite-{backend}", threads)
        for precision in ("float32", "int8")
        for backend in ("xnnpack", "builtin")
        for threads in (1, 2)
    }
    assert measured == {("float32", "keras", 1)} | tflite
    assert all(result["latency_ms"]["p50"] > 0 for result in document["results"])


def test_the_report_stands_alone(whole_run: RunDirectory) -> None:
    page = whole_run.report_file.read_text(encoding="utf-8")
    assert "int8 QAT" in page
    assert page.count("data:image/") >= 2, "pictures are inside"
    resources = re.findall(r"""(?:src|href)\s*=\s*["']([^"'#][^"']*)""", page)
    assert [link for link in resources if not link.startswith("data:")] == []
    assert re.findall(r"@import|url\((?!['\"]?data:)", page) == []


def test_the_curves_of_the_training_are_kept(whole_run: RunDirectory) -> None:
    lines = [json.loads(line) for line in whole_run.metrics_file.read_text().splitlines()]
    losses = [line["step"] for line in lines if "loss" in line]
    accuracy = [line["step"] for line in lines if "mAP" in line]
    assert losses == sorted({1, *range(20, 251, 20), 100, 200, 250})
    assert accuracy == [100, 200, 250]
    (events,) = whole_run.tensorboard_dir.glob("events.out.tfevents.*")
    assert events.stat().st_size > 500
