from __future__ import annotations

from pathlib import Path

import cv2

from edge_retina.benchmark.backends import BUILTIN, KERAS, XNNPACK, open_model
from edge_retina.benchmark.candidate import run_candidates, tflite_candidates
from edge_retina.benchmark.noise_image import write_noise_image
from edge_retina.benchmark.task import WorkerTask

UINT8 = Path(__file__).resolve().parents[1] / "golden" / "tiny_uint8.tflite"


def test_every_thread_count_with_and_without_xnnpack() -> None:
    items = tflite_candidates(Path("d/cells_int8.tflite"), threads=[1, 4])
    assert [(item.threads, item.backend) for item in items] == [
        (1, "tflite-xnnpack"),
        (1, "tflite-builtin"),
        (4, "tflite-xnnpack"),
        (4, "tflite-builtin"),
    ]
    assert {item.family for item in items} == {"cells"}
    task = items[3].task([Path("a.png")], runs=5, warmup=2)
    assert task == WorkerTask(
        factory="edge_retina.runtime.detector:TFLiteDetector",
        model="d/cells_int8.tflite",
        options={"num_threads": 4, "use_xnnpack": False},
        environment={},
        images=("a.png",),
        runs=5,
        warmup=2,
        threads=4,
    )


def test_keras_takes_its_threads_from_the_environment() -> None:
    (item,) = run_candidates(Path("runs/a"), file=Path("w.h5"), family="a", threads=[2])
    task = item.task([], runs=1, warmup=0)
    assert (item.backend, item.model, task.model, task.options) == (KERAS, "runs/a", "runs/a", {})
    assert task.environment["TF_NUM_INTRAOP_THREADS"] == "2"


def test_a_task_is_the_same_after_its_journey() -> None:
    (item,) = run_candidates(Path("runs/a"), file=Path("w.h5"), family="a", threads=[2])
    task = item.task([Path("a.png"), Path("b.png")], runs=1, warmup=0)
    assert WorkerTask.from_json(task.to_json()) == task


def test_a_file_is_opened_with_the_backend_named() -> None:
    with_it, without = (open_model(UINT8, backend) for backend in (XNNPACK, BUILTIN))
    assert with_it.delegate.name == "xnnpack"  # type: ignore[attr-defined]
    assert without.delegate is None  # type: ignore[attr-defined]


def test_the_noise_image_is_the_same_each_time(tmp_path: Path) -> None:
    one, other = (write_noise_image(tmp_path / f"{name}.png", seed=3) for name in "ab")
    assert one.read_bytes() == other.read_bytes()
    assert cv2.imread(str(one)).std() > 30
