"""A whole benchmark on this machine: rounds, mAP and JSON."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_retina.benchmark.accuracy import LabelledData
from edge_retina.benchmark.backends import BUILTIN, XNNPACK
from edge_retina.benchmark.candidate import Candidate, tflite_candidates
from edge_retina.benchmark.detection_answer import DetectionResult
from edge_retina.benchmark.local import LocalRunner
from edge_retina.benchmark.noise_image import write_noise_image
from edge_retina.benchmark.run import run_benchmark
from edge_retina.benchmark.task import DetectionTask
from edge_retina.benchmark.timing_plan import TimingPlan
from edge_retina.datasets.schema import Example
from edge_retina.errors import BenchmarkError
from edge_retina.evaluation.evaluator import evaluate
from edge_retina.files import sha256_file
from edge_retina.runtime.detector import TFLiteDetector

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
UINT8, FLOAT32 = GOLDEN / "tiny_uint8.tflite", GOLDEN / "tiny_float32.tflite"
LABELS = ("disc", "square")
BRIEF = TimingPlan(runs=1, rounds=1, warmup=0, min_seconds=0, max_warmup_s=0)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return write_noise_image(tmp_path / "noise.png", seed=0)


@pytest.fixture
def data(image: Path) -> LabelledData:
    """One object over the whole image, of class 0: what the tiny detectors find."""
    height, width = 480, 640
    example = Example(
        image_id="noise.png",
        path=image,
        image_hw=(height, width),
        boxes_px=np.array([[0, 0, height, width]], np.float32),
        classes=np.array([0], np.int32),
        crowd=np.array([False]),
    )
    return LabelledData((example,), LABELS)


def test_a_whole_benchmark(image: Path, data: LabelledData) -> None:
    told: list[tuple[str, int, int]] = []
    report = run_benchmark(
        tflite_candidates(UINT8, threads=[1]),
        runner=LocalRunner(),
        images=[image],
        plan=TimingPlan(runs=3, rounds=2, warmup=1, min_seconds=0, max_warmup_s=0),
        data=data,
        progress=lambda done, title, total: told.append((title, done, total)),
    )
    assert report.device == "local"
    xnnpack, builtin = report.results
    assert (xnnpack.backend, builtin.backend) == ("tflite-xnnpack", "tflite-builtin")
    assert xnnpack.latency_ms.n == 6
    assert xnnpack.sha256 == sha256_file(UINT8)
    assert xnnpack.size_bytes == UINT8.stat().st_size
    assert (xnnpack.precision, xnnpack.threads) == ("int8", 1)
    assert xnnpack.delegate is not None
    assert xnnpack.delegate.partitions == 1
    assert builtin.delegate is None
    assert xnnpack.mAP == builtin.mAP == pytest.approx(1.0)
    assert xnnpack.images == 1
    assert report.comparisons == ()  # no float32 model among them
    assert [(done, total) for _, done, total in told] == [(step, 6) for step in range(6)]
    titles = [title for title, _, _ in told]
    assert titles[:2] == titles[2:4]  # in turn, not one after the other
    assert titles[4] == f"mAP of {UINT8}, tflite-xnnpack"


@dataclasses.dataclass(frozen=True)
class CountingRunner(LocalRunner):
    """Notes of what the objects are found."""

    found: list[tuple[Path, str]] = dataclasses.field(default_factory=list)

    def detect(self, candidate: Candidate, task: DetectionTask) -> DetectionResult:
        self.found.append((candidate.path, candidate.backend))
        return super().detect(candidate, task)


def test_what_is_known_is_not_measured_again(image: Path, data: LabelledData) -> None:
    """Of one file and two backends, each with two numbers of threads, one was measured before."""
    runner = CountingRunner()
    detector = TFLiteDetector(UINT8)
    metrics, _ = evaluate(detector, data.examples, labels=data.labels)
    known = dataclasses.replace(metrics, mAP=0.123, mAP50=0.456, images=7)
    told: list[str] = []
    report = run_benchmark(
        tflite_candidates(UINT8, threads=[1, 2]),
        runner=runner,
        images=[image],
        plan=BRIEF,
        data=data,
        known_metrics={(sha256_file(UINT8), XNNPACK): known},
        progress=lambda _, title, total: told.append(f"{title}/{total}"),
    )
    assert runner.found == [(UINT8, BUILTIN)]
    assert told[4:] == [f"mAP of {UINT8}, tflite-builtin/5"]
    found = {(item.backend, item.threads): (item.mAP, item.images) for item in report.results}
    one = pytest.approx(1.0)
    assert found == {
        (XNNPACK, 1): (0.123, 7),
        (XNNPACK, 2): (0.123, 7),
        (BUILTIN, 1): (one, 1),
        (BUILTIN, 2): (one, 1),
    }


def test_metrics_of_another_file_are_not_taken(image: Path, data: LabelledData) -> None:
    metrics, _ = evaluate(TFLiteDetector(UINT8), data.examples, labels=data.labels)
    wrong = dataclasses.replace(metrics, mAP=0.123)
    report = run_benchmark(
        tflite_candidates(UINT8, threads=[1])[:1],
        runner=LocalRunner(),
        images=[image],
        plan=BRIEF,
        data=data,
        known_metrics={(sha256_file(FLOAT32), XNNPACK): wrong},
    )
    assert report.results[0].mAP == pytest.approx(1.0)


def test_equal_files_are_measured_apart(image: Path, data: LabelledData, tmp_path: Path) -> None:
    """What a model finds also depends on the manifest beside it, or on the RUN's config."""
    runner = CountingRunner()
    paths = [tmp_path / name / "m_int8.tflite" for name in "ab"]
    for path in paths:
        path.parent.mkdir()
        shutil.copy(UINT8, path)
    run_benchmark(
        [tflite_candidates(path, threads=[1])[0] for path in paths],
        runner=runner,
        images=[image],
        plan=BRIEF,
        data=data,
    )
    assert [path for path, _ in runner.found] == paths


def test_known_metrics_need_no_data(image: Path, data: LabelledData) -> None:
    metrics, _ = evaluate(TFLiteDetector(UINT8), data.examples, labels=data.labels)
    report = run_benchmark(
        tflite_candidates(UINT8, threads=[1]),
        runner=LocalRunner(),
        images=[image],
        plan=BRIEF,
        known_metrics={(sha256_file(UINT8), XNNPACK): metrics},
    )
    assert [item.mAP for item in report.results] == [pytest.approx(1.0), None]


def test_json_has_the_names_of_the_contract(image: Path) -> None:
    report = run_benchmark(
        tflite_candidates(UINT8, threads=[1])[:1],
        runner=LocalRunner(),
        images=[image],
        plan=BRIEF,
    )
    document = report.to_dict()
    assert list(document) == [
        "schema_version",
        "device",
        "environment",
        "results",
        "comparisons",
        "missing",
        "scenario",
        "baseline",
        "data",
    ]
    result = document["results"][0]
    assert list(result) == [
        "model",
        "sha256",
        "precision",
        "backend",
        "threads",
        "size_bytes",
        "init_ms",
        "latency_ms",
        "stages_ms",
        "peak_memory_mb",
        "delegate",
        "mAP",
        "mAP50",
        "images",
        "warnings",
        "first_inference_ms",
        "mAP_device",
        "op_profile",
        "scenario",
        "samples_ms",
        "warmups",
        "other_load",
        "mAP_low",
        "mAP_high",
        "warning_codes",
    ]
    assert list(result["latency_ms"]) == [
        "n",
        "mean",
        "stdev",
        "min",
        "p50",
        "p90",
        "p99",
        "samples",
        "rounds_ms",
    ]
    assert list(result["samples_ms"]) == ["preprocess", "inference", "postprocess", "lost", "turns"]
    assert list(result["warmups"][0]) == ["detections", "seconds", "typical_ms", "drift"]
    assert list(result["stages_ms"]) == ["preprocess", "inference", "postprocess"]
    assert list(result["delegate"]) == [
        "name",
        "partitions",
        "nodes_delegated",
        "nodes_total",
        "left",
    ]
    assert (result["mAP"], result["images"]) == (None, 0)
    assert {"cpu", "cores", "governor", "os", "python", "packages"} <= set(document["environment"])
    assert "numpy" in document["environment"]["packages"]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"plan": TimingPlan(runs=0)}, "runs must be 1 or more, got 0"),
        ({"plan": TimingPlan(rounds=0)}, "rounds must be 1 or more"),
        ({"plan": TimingPlan(warmup=-1)}, "warmup must be 0 or more"),
        ({"plan": TimingPlan(min_seconds=-1)}, "min_seconds must be 0 or more, got -1"),
        ({"images": []}, "no image to measure with"),
        ({"candidates": []}, "no model to measure"),
    ],
)
def test_measurements_that_make_no_sense(image: Path, change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {
        "candidates": tflite_candidates(UINT8, threads=[1]),
        "images": [image],
        **change,
    }
    with pytest.raises(BenchmarkError, match=message):
        run_benchmark(runner=LocalRunner(), **arguments)


def test_a_missing_file_is_refused_before_anything_is_measured(image: Path, tmp_path: Path) -> None:
    items = tflite_candidates(UINT8, threads=[1])
    items += tflite_candidates(tmp_path / "gone.tflite", threads=[1])
    told: list[int] = []
    with pytest.raises(BenchmarkError, match=r"gone\.tflite: no such file"):
        run_benchmark(
            items,
            runner=LocalRunner(),
            images=[image],
            progress=lambda done, *_, **__: told.append(done),
        )
    assert told == []
