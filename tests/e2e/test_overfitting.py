"""Learning, quantising and exporting work at all: a handful of pictures is learnt by heart."""

from __future__ import annotations

import pytest

from edge_retina.datasets import Dataset
from edge_retina.evaluation.evaluator import evaluate
from edge_retina.run_directory import RunDirectory
from edge_retina.runtime.detector import TFLiteDetector

pytestmark = [pytest.mark.slow, pytest.mark.tf]


def test_the_float_model_knows_its_pictures_by_heart(
    whole_run: RunDirectory, dataset: Dataset
) -> None:
    from edge_retina.model.predictor import load_keras_predictor

    predictor = load_keras_predictor(str(whole_run.root))
    metrics, _ = evaluate(predictor, dataset.split("train"), labels=dataset.labels)
    assert metrics.mAP50 > 0.9


@pytest.mark.parametrize("file", ["export/tiny_int8.tflite", "ptq/export/tiny_int8.tflite"])
def test_int8_files_know_them_too(whole_run: RunDirectory, dataset: Dataset, file: str) -> None:
    detector = TFLiteDetector(whole_run.root / file)
    metrics, _ = evaluate(detector, dataset.split("train"), labels=dataset.labels)
    assert metrics.mAP50 > 0.85
