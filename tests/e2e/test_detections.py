"""The same objects are found by Keras and by the exported files, however these are run."""

from __future__ import annotations

import numpy as np
import pytest

from edge_retina.datasets import Dataset
from edge_retina.run_directory import RunDirectory
from edge_retina.runtime.detections import Detections, Predictor
from edge_retina.runtime.detector import TFLiteDetector
from edge_retina.runtime.image import load_image

pytestmark = [pytest.mark.slow, pytest.mark.tf]


@pytest.fixture(scope="module")
def pictures(dataset: Dataset) -> list[np.ndarray]:
    """The training pictures, on which there is much to find, and the test pictures."""
    examples = (*dataset.split("train"), *dataset.split("test"))
    return [load_image(example.path) for example in examples]


def find(predictor: Predictor, pictures: list[np.ndarray]) -> list[Detections]:
    return [predictor.predict(picture) for picture in pictures]


def assert_same(expected: list[Detections], got: list[Detections], *, atol: float) -> None:
    assert sum(map(len, expected)) >= 20, "too little was found for a comparison"
    for one, other in zip(expected, got, strict=True):
        np.testing.assert_array_equal(one.classes, other.classes)
        np.testing.assert_allclose(one.boxes_norm, other.boxes_norm, atol=atol, rtol=0)
        np.testing.assert_allclose(one.scores, other.scores, atol=atol, rtol=0)


def test_float_file_and_keras(whole_run: RunDirectory, pictures: list[np.ndarray]) -> None:
    from edge_retina.model.predictor import load_keras_predictor

    keras = load_keras_predictor(str(whole_run.root))
    tflite = TFLiteDetector(whole_run.export_dir / "tiny_float32.tflite")
    assert_same(find(keras, pictures), find(tflite, pictures), atol=1e-3)


@pytest.mark.parametrize("use_xnnpack", [True, False])
@pytest.mark.parametrize("threads", [2, 4, 8])
def test_int8_file_and_threads(
    whole_run: RunDirectory, pictures: list[np.ndarray], threads: int, use_xnnpack: bool
) -> None:
    path = whole_run.export_dir / "tiny_int8.tflite"
    alone = TFLiteDetector(path, num_threads=1, use_xnnpack=use_xnnpack)
    together = TFLiteDetector(path, num_threads=threads, use_xnnpack=use_xnnpack)
    assert_same(find(alone, pictures), find(together, pictures), atol=0)


def test_float_file_with_and_without_xnnpack(
    whole_run: RunDirectory, pictures: list[np.ndarray]
) -> None:
    path = whole_run.export_dir / "tiny_float32.tflite"
    with_it, without = (TFLiteDetector(path, use_xnnpack=use) for use in (True, False))
    assert with_it.delegate is not None
    assert_same(find(with_it, pictures), find(without, pictures), atol=1e-3)
