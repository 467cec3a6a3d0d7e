"""Workers on this machine, with factories whose behaviour is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_retina.benchmark.backends import KERAS
from edge_retina.benchmark.candidate import Candidate, tflite_candidates
from edge_retina.benchmark.device_options import DeviceOptions
from edge_retina.benchmark.local import LocalRunner, open_local
from edge_retina.benchmark.noise_image import write_noise_image
from edge_retina.benchmark.task import WorkerResult, WorkerTask
from edge_retina.errors import BenchmarkError

CANDIDATE = Candidate(Path("m"), file=Path("m"), family="m", backend=KERAS, threads=1)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return write_noise_image(tmp_path / "noise.png", seed=0)


@pytest.fixture(autouse=True)
def _factories_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=":")


def measure(
    image: Path,
    factory: str,
    *,
    runner: LocalRunner | None = None,
    environment: dict[str, str] | None = None,
    runs: int = 1,
    warmup: int = 0,
    **options: Any,
) -> WorkerResult:
    task = WorkerTask(
        factory=factory,
        model="m",
        options=options,
        environment=environment or {},
        images=(str(image),),
        runs=runs,
        warmup=warmup,
        threads=1,
    )
    return (runner or LocalRunner()).measure(CANDIDATE, task)


def test_stages_are_told_apart(image: Path) -> None:
    result = measure(image, "factories:SleepyPredictor", inference_ms=5.0, runs=4, warmup=1)
    assert len(result.preprocess_ms) == len(result.inference_ms) == len(result.postprocess_ms) == 4
    assert 1 <= np.median(result.preprocess_ms) < np.median(result.inference_ms)
    assert min(result.inference_ms) >= 5
    assert np.median(result.postprocess_ms) < 1
    assert result.init_ms >= 30
    assert (result.precision, result.delegate) == ("float32", None)


def test_the_workers_memory_is_its_own(image: Path) -> None:
    """A child's ru_maxrss would start from this process's size."""
    ballast = np.ones(400 * 2**20, np.uint8)
    result = measure(image, "factories:SleepyPredictor", inference_ms=0.1)
    assert ballast.nbytes == 400 * 2**20
    assert result.peak_memory_mb is not None
    assert 10 < result.peak_memory_mb < 300


def test_what_libraries_print_does_not_harm_the_answer(image: Path) -> None:
    result = measure(image, "factories:noisy_output", inference_ms=0.1, runs=2)
    assert len(result.inference_ms) == 2


def test_the_tasks_environment_reaches_the_worker(image: Path) -> None:
    with pytest.raises(BenchmarkError, match="RuntimeError: THREADS=3"):
        measure(image, "factories:sees", variable="THREADS", environment={"THREADS": "3"})


@pytest.mark.parametrize(
    "factory, message",
    [
        ("factories:failing", "RuntimeError: no such accelerator"),
        ("factories:crashing", "worker was killed by SIGABRT"),
        ("factories:absent", "AttributeError: module 'factories' has no attribute 'absent'"),
        ("no_module:f", "ModuleNotFoundError: No module named 'no_module'"),
    ],
)
def test_a_workers_failure_is_a_benchmark_error(image: Path, factory: str, message: str) -> None:
    with pytest.raises(BenchmarkError) as caught:
        measure(image, factory)
    assert str(caught.value).startswith(f"m, keras, 1 thread: {message}")


def test_a_model_that_is_gone_is_a_benchmark_error(image: Path, tmp_path: Path) -> None:
    gone = tflite_candidates(tmp_path / "gone.tflite", threads=[1])[0]
    with pytest.raises(BenchmarkError, match=r"gone\.tflite: no such file"):
        LocalRunner().measure(gone, gone.task([image], runs=1, warmup=0))


def test_a_worker_that_stalls_is_stopped(image: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"not done after 0\.5 s"):
        measure(image, "factories:stalling", runner=LocalRunner(timeout_s=0.5))


def test_this_machine_has_no_address() -> None:
    assert open_local("", DeviceOptions()) == LocalRunner()
    with pytest.raises(BenchmarkError, match="--device local:pi: local takes no address"):
        open_local("pi", DeviceOptions())
