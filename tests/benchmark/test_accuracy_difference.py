from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from edge_retina.benchmark.accuracy import Accuracy
from edge_retina.benchmark.accuracy_difference import with_accuracy_differences
from edge_retina.benchmark.candidate import Candidate
from edge_retina.benchmark.environment import read_environment
from edge_retina.benchmark.results import Comparison
from edge_retina.benchmark.rounds import join_rounds
from edge_retina.benchmark.task import WorkerResult
from edge_retina.evaluation.coco_metrics import evaluate_detections
from edge_retina.evaluation.intervals import mAP_resamples, metric_differences, metric_intervals
from edge_retina.evaluation.matches import find_matches
from edge_retina.runtime.detections import Detections
from tests.evaluation.random_split import LABELS, draw_split

EXAMPLES, FOUND = draw_split(15, 0)
COMPARISON = Comparison("int8", "x", 1, "float", "x", ratio=0.5, low=0.4, high=0.6, rounds=3)


def accuracy(detections: list[Detections]) -> Accuracy:
    matches = find_matches(EXAMPLES, detections, LABELS)
    metrics = evaluate_detections(EXAMPLES, detections, LABELS)
    return Accuracy(metrics, resampled=mAP_resamples(matches), detections=tuple(detections))


def test_the_interval_of_a_model_is_that_of_evaluate() -> None:
    expected = metric_intervals(find_matches(EXAMPLES, FOUND, LABELS), LABELS).mAP
    got = accuracy(FOUND).interval
    assert got.bounds == pytest.approx(expected.bounds)
    assert got.bounds is not None
    assert got.bounds[0] < got.value < got.bounds[1]


def test_a_result_has_the_interval(tmp_path: Path) -> None:
    file = tmp_path / "x.tflite"
    file.write_bytes(b"x")
    candidate = Candidate(file, file=file, family="x", backend="tflite-xnnpack", threads=1)
    once = WorkerResult(1.0, (1.0,), (1.0,), (1.0,), None, "int8", None)
    about = {"sha256": "", "label": "x", "environment": read_environment()}
    known = accuracy(FOUND)
    result = join_rounds(candidate, [once], accuracy=known, **about)  # type: ignore[arg-type]
    assert [result.mAP_low, result.mAP_high] == known.interval.bounds
    result = join_rounds(candidate, [once], accuracy=None, **about)  # type: ignore[arg-type]
    assert (result.mAP_low, result.mAP_high) == (None, None)


def test_the_difference_is_paired_as_in_evaluate() -> None:
    worse = [item.above(0.8) for item in FOUND]
    known = {("float", "x"): accuracy(FOUND), ("int8", "x"): accuracy(worse)}
    (got,) = with_accuracy_differences([COMPARISON], known)
    expected = metric_differences(
        find_matches(EXAMPLES, worse, LABELS), find_matches(EXAMPLES, FOUND, LABELS), LABELS
    ).mAP
    assert got.mAP_difference == pytest.approx(expected.value, abs=1e-9)
    bounds = [got.mAP_difference_low, got.mAP_difference_high]
    assert bounds == pytest.approx(expected.bounds, abs=1e-9)
    assert got.mAP_difference is not None
    assert got.mAP_difference < 0
    assert got.ratio == 0.5


def test_of_metrics_alone_the_difference_has_no_interval() -> None:
    one = Accuracy(accuracy(FOUND).metrics)
    other = dataclasses.replace(one, metrics=dataclasses.replace(one.metrics, mAP=0.1))
    known = {("float", "x"): one, ("int8", "x"): other}
    (got,) = with_accuracy_differences([COMPARISON], known)
    assert got.mAP_difference == pytest.approx(0.1 - one.metrics.mAP)
    assert (got.mAP_difference_low, got.mAP_difference_high) == (None, None)
    assert one.interval.bounds is None


def test_without_one_of_them_there_is_no_difference() -> None:
    known = {("float", "x"): accuracy(FOUND)}
    assert with_accuracy_differences([COMPARISON], known) == (COMPARISON,)
    assert with_accuracy_differences([COMPARISON], {}) == (COMPARISON,)


def test_a_single_picture_has_no_interval() -> None:
    lone = Accuracy(
        evaluate_detections(EXAMPLES[1:2], FOUND[1:2], LABELS), resampled=np.array([0.5, 0.5])
    )
    assert lone.interval.bounds is None
