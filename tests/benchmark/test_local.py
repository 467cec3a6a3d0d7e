from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_retina.benchmark.accuracy import LabelledData
from edge_retina.benchmark.candidate import Candidate, keras_candidates, tflite_candidates
from edge_retina.benchmark.local import run_benchmark, run_worker
from edge_retina.benchmark.picture import write_noise_picture
from edge_retina.datasets.schema import Example
from edge_retina.errors import BenchmarkError
from edge_retina.files import sha256_file

UINT8 = Path(__file__).resolve().parents[1] / "golden" / "tiny_uint8.tflite"


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    return write_noise_picture(tmp_path / "noise.png", seed=0)


@pytest.fixture(autouse=True)
def _factories_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


def candidate(
    factory: str, kwargs: dict[str, Any] | None = None, environment: dict[str, str] | None = None
) -> Candidate:
    return Candidate(
        model="m",
        file=UINT8,
        family="m",
        backend="keras",
        threads=1,
        factory=factory,
        kwargs=kwargs or {},
        environment=environment or {},
    )


def test_stages_are_told_apart(picture: Path) -> None:
    result = run_worker(
        candidate("factories:SleepyPredictor", {"inference_ms": 5.0}),
        images=[picture],
        runs=4,
        warmup=1,
    )
    assert len(result.preprocess_ms) == len(result.inference_ms) == len(result.postprocess_ms) == 4
    assert 1 <= np.median(result.preprocess_ms) < np.median(result.inference_ms)
    assert min(result.inference_ms) >= 5
    assert np.median(result.postprocess_ms) < 1
    assert result.init_ms >= 30
    assert (result.precision, result.delegate) == ("float32", None)


def test_the_workers_memory_is_its_own(picture: Path) -> None:
    """A child's ru_maxrss would start from this process's size."""
    ballast = np.ones(400 * 2**20, np.uint8)
    result = run_worker(
        candidate("factories:SleepyPredictor", {"inference_ms": 0.1}),
        images=[picture],
        runs=1,
        warmup=0,
    )
    assert ballast.nbytes == 400 * 2**20
    assert result.peak_memory_mb is not None
    assert 10 < result.peak_memory_mb < 300


def test_what_libraries_print_does_not_harm_the_answer(picture: Path) -> None:
    result = run_worker(
        candidate("factories:noisy_output", {"inference_ms": 0.1}),
        images=[picture],
        runs=2,
        warmup=0,
    )
    assert len(result.inference_ms) == 2


def test_the_candidates_environment_reaches_the_worker(picture: Path) -> None:
    item = candidate("factories:sees", {"variable": "THREADS"}, {"THREADS": "3"})
    with pytest.raises(BenchmarkError, match="RuntimeError: THREADS=3"):
        run_worker(item, images=[picture], runs=1, warmup=0)


@pytest.mark.parametrize(
    "factory, message",
    [
        ("factories:failing", "m, keras, 1 thread: RuntimeError: no such accelerator"),
        ("factories:crashing", "m, keras, 1 thread: worker was killed by SIGABRT"),
        ("factories:absent", "factory 'factories:absent' can't be used: module 'factories' has no"),
        ("no_module:f", "factory 'no_module:f' can't be used: No module named 'no_module'"),
        ("nonsense", "factory 'nonsense' can't be used"),
    ],
)
def test_a_workers_failure_is_a_benchmark_error(picture: Path, factory: str, message: str) -> None:
    with pytest.raises(BenchmarkError) as caught:
        run_worker(candidate(factory), images=[picture], runs=1, warmup=0)
    assert message in str(caught.value)


def test_a_model_that_is_gone_is_a_benchmark_error(picture: Path, tmp_path: Path) -> None:
    gone = tflite_candidates(tmp_path / "gone.tflite", threads=[1])[0]
    with pytest.raises(BenchmarkError, match=r"gone\.tflite: no such file"):
        run_worker(gone, images=[picture], runs=1, warmup=0)


def test_a_worker_that_stalls_is_stopped(picture: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"not done after 0\.5 s"):
        run_worker(
            candidate("factories:stalling"), images=[picture], runs=1, warmup=0, timeout_s=0.5
        )


def test_a_whole_benchmark(picture: Path) -> None:
    candidates = tflite_candidates(UINT8, threads=[1])
    height, width = 480, 640
    example = Example(
        image_id="noise.png",
        path=picture,
        image_hw=(height, width),
        boxes_px=np.array([[0, 0, height, width]], np.float32),
        classes=np.array([0], np.int32),
        crowd=np.array([False]),
    )
    told: list[tuple[str, int, int]] = []
    report = run_benchmark(
        candidates,
        images=[picture],
        runs=3,
        rounds=2,
        warmup=1,
        data=LabelledData((example,), ("disc", "square")),
        progress=lambda done, title, total: told.append((title, done, total)),
    )
    xnnpack, builtin = report.results
    assert (xnnpack.backend, builtin.backend) == ("tflite-xnnpack", "tflite-builtin")
    assert xnnpack.latency_ms.n == 6
    assert xnnpack.sha256 == sha256_file(UINT8)
    assert xnnpack.size_bytes == UINT8.stat().st_size
    assert (xnnpack.precision, xnnpack.threads) == ("int8", 1)
    assert xnnpack.delegate is not None
    assert xnnpack.delegate.partitions == 1
    assert builtin.delegate is None
    # The detector says class 0 over the whole picture: the one object there is
    assert xnnpack.mAP == builtin.mAP == pytest.approx(1.0)
    assert xnnpack.images == 1
    assert report.comparisons == ()  # no float32 model among them
    assert [(done, total) for _, done, total in told] == [(step, 6) for step in range(6)]
    titles = [title for title, _, _ in told]
    assert titles[:2] == titles[2:4]  # in turn, not one after the other
    assert titles[4] == f"mAP of {UINT8}, tflite-xnnpack"


def test_json_has_the_names_of_the_contract(picture: Path) -> None:
    report = run_benchmark(
        tflite_candidates(UINT8, threads=[1])[:1], images=[picture], runs=1, rounds=1, warmup=0
    )
    document = report.to_dict()
    assert list(document) == ["schema_version", "environment", "results", "comparisons"]
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
    ]
    assert list(result["stages_ms"]) == ["preprocess", "inference", "postprocess"]
    assert list(result["delegate"]) == ["name", "partitions", "nodes_delegated", "nodes_total"]
    assert (result["mAP"], result["images"]) == (None, 0)
    assert {"cpu", "cores", "governor", "os", "python", "packages"} <= set(document["environment"])
    assert "numpy" in document["environment"]["packages"]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"runs": 0}, "runs must be 1 or more, got 0"),
        ({"rounds": 0}, "rounds must be 1 or more"),
        ({"warmup": -1}, "warmup must be 0 or more"),
        ({"images": []}, "no picture to measure with"),
    ],
)
def test_measurements_that_make_no_sense(
    picture: Path, change: dict[str, Any], message: str
) -> None:
    arguments: dict[str, Any] = {"images": [picture], **change}
    with pytest.raises(BenchmarkError, match=message):
        run_benchmark(tflite_candidates(UINT8, threads=[1]), **arguments)


def test_no_candidates(picture: Path) -> None:
    with pytest.raises(BenchmarkError, match="no model to measure"):
        run_benchmark([], images=[picture])


def test_every_thread_count_with_and_without_xnnpack() -> None:
    items = tflite_candidates(Path("d/cells_int8.tflite"), threads=[1, 4])
    assert [(item.threads, item.backend) for item in items] == [
        (1, "tflite-xnnpack"),
        (1, "tflite-builtin"),
        (4, "tflite-xnnpack"),
        (4, "tflite-builtin"),
    ]
    assert {item.family for item in items} == {"cells"}
    assert items[3].kwargs["num_threads"] == 4
    assert items[3].kwargs["use_xnnpack"] is False


def test_keras_takes_its_threads_from_the_environment() -> None:
    (item,) = keras_candidates(
        Path("runs/a"), file=Path("w.h5"), family="a", factory="m:f", threads=[2]
    )
    assert item.kwargs == {"run": "runs/a"}
    assert item.environment["TF_NUM_INTRAOP_THREADS"] == "2"


def test_the_noise_picture_is_the_same_each_time(tmp_path: Path) -> None:
    one, other = (write_noise_picture(tmp_path / f"{name}.png", seed=3) for name in "ab")
    assert one.read_bytes() == other.read_bytes()
    assert cv2.imread(str(one)).std() > 30
