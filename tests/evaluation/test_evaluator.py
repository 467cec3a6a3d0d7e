from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_retina.datasets.schema import Example, annotations_sha256
from edge_retina.errors import DatasetError, ModelError
from edge_retina.evaluation.evaluator import check_labels, evaluate
from edge_retina.evaluation.record import evaluation_record, recorded_metrics
from edge_retina.files import dump_json, sha256_file
from edge_retina.runtime.detections import Detections


class BrightnessPredictor:
    """Finds one object over the whole image; the class is whether it is bright."""

    labels = ("dark", "bright")

    def predict(self, image_rgb: np.ndarray) -> Detections:
        index = int(image_rgb.mean() > 128)
        return Detections(
            np.array([[0, 0, 1, 1]], np.float32),
            np.array([index], np.int32),
            np.array([0.9], np.float32),
        )


def grey_example(directory: Path, value: int, label: int) -> Example:
    path = directory / f"{value}.png"
    cv2.imwrite(str(path), np.full((20, 30, 3), value, np.uint8))
    return Example(
        image_id=path.name,
        path=path,
        image_hw=(20, 30),
        boxes_px=np.array([[0, 0, 20, 30]], np.float32),
        classes=np.array([label], np.int32),
        crowd=np.array([False]),
    )


def test_images_are_read_and_measured_in_order(tmp_path: Path) -> None:
    examples = [grey_example(tmp_path, 250, 1), grey_example(tmp_path, 5, 0)]
    told = []
    metrics, detections = evaluate(
        BrightnessPredictor(),
        examples,
        labels=["dark", "bright"],
        progress=lambda done, total: told.append((done, total)),
    )
    assert metrics.mAP == pytest.approx(1.0)
    assert [item.classes.tolist() for item in detections] == [[1], [0]]
    assert told == [(1, 2), (2, 2)]


def test_wrong_classes_are_misses(tmp_path: Path) -> None:
    examples = [grey_example(tmp_path, 250, 0), grey_example(tmp_path, 5, 1)]
    metrics, _ = evaluate(BrightnessPredictor(), examples, labels=["dark", "bright"])
    assert metrics.mAP == 0.0


def test_a_split_without_objects_is_refused_before_the_model_runs(tmp_path: Path) -> None:
    class Unused(BrightnessPredictor):
        def predict(self, image_rgb: np.ndarray) -> Detections:
            raise AssertionError("the model ran")

    crowd = dataclasses.replace(grey_example(tmp_path, 5, 0), crowd=np.array([True]))
    with pytest.raises(DatasetError, match="no labelled object in the 1 images"):
        evaluate(Unused(), [crowd], labels=["dark", "bright"])


def test_an_image_that_is_gone_is_named(tmp_path: Path) -> None:
    example = grey_example(tmp_path, 5, 0)
    example.path.unlink()
    with pytest.raises(DatasetError, match=r"5\.png: can't be read"):
        evaluate(BrightnessPredictor(), [example], labels=["dark", "bright"])


@pytest.mark.parametrize(
    "model, data, message",
    [
        (["a", "b"], ["a", "c"], "class 1 is 'b' in the model but 'c' in the data set"),
        (["a", "b"], ["b", "a"], "class 0 is 'a' in the model but 'b' in the data set"),
        (["a"], ["a", "c"], "class 1 'c' is only in the data set"),
        (["a", "b", "c"], ["a"], "class 1 'b' is only in the model"),
        ([], ["a"], "class 0 'a' is only in the data set"),
    ],
)
def test_the_first_label_that_differs_is_named(
    model: list[str], data: list[str], message: str
) -> None:
    with pytest.raises(ModelError) as caught:
        check_labels(model, data)
    assert message in str(caught.value)


def test_equal_labels_pass_whatever_the_sequence_type() -> None:
    check_labels(("a", "b"), ["a", "b"])


def test_the_record_says_of_which_model_on_which_data(tmp_path: Path) -> None:
    examples = [grey_example(tmp_path, 250, 1)]
    metrics, _ = evaluate(BrightnessPredictor(), examples, labels=["dark", "bright"])
    model = tmp_path / "model.tflite"
    model.write_bytes(b"weights")
    record = evaluation_record(
        metrics,
        model_file=model,
        backend="tflite-xnnpack",
        data_path=Path("data/x"),
        split="val",
        examples=examples,
    )
    assert record["mAP"] == pytest.approx(1.0)
    assert record["model"] == {"path": str(model), "sha256": sha256_file(model)}
    assert record["backend"] == "tflite-xnnpack"
    assert record["data"] == {
        "path": "data/x",
        "split": "val",
        "sha256": annotations_sha256(tuple(examples)),
    }


def test_recorded_metrics_are_those_of_the_same_data(tmp_path: Path) -> None:
    examples = [grey_example(tmp_path, 250, 1), grey_example(tmp_path, 5, 1)]
    metrics, _ = evaluate(BrightnessPredictor(), examples, labels=["dark", "bright"])
    models = [tmp_path / "a.tflite", tmp_path / "b.tflite"]

    def record(model: Path, backend: str, measured: list[Example]) -> dict[str, Any]:
        model.write_text(model.name)
        return evaluation_record(
            metrics,
            model_file=model,
            backend=backend,
            data_path=tmp_path,
            split="test",
            examples=measured,
        )

    records = [
        record(models[0], "keras", examples),
        record(models[1], "tflite-xnnpack", examples),
        record(models[1], "tflite-builtin", examples[:1]),  # other data
    ]
    del (old := record(models[0], "tflite-xnnpack", examples))["backend"]  # as once written
    read = json.loads(dump_json([*records, old]))
    assert recorded_metrics(read, examples) == {
        (sha256_file(models[0]), "keras"): metrics,
        (sha256_file(models[1]), "tflite-xnnpack"): metrics,
    }
