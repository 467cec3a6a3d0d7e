"""A device that is made up: one class and one line in the table are all it takes."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge_retina.benchmark.backends import BUILTIN, KERAS, XNNPACK
from edge_retina.benchmark.candidate import Candidate, tflite_candidates
from edge_retina.benchmark.detection_answer import DetectionResult
from edge_retina.benchmark.device_options import DeviceOptions
from edge_retina.benchmark.environment import Environment
from edge_retina.benchmark.local import LocalRunner
from edge_retina.benchmark.run import run_benchmark
from edge_retina.benchmark.runner import DeviceKind, Runner, open_runner
from edge_retina.benchmark.task import DetectionTask, TeamTask, WorkerResult, WorkerTask
from edge_retina.cli.main import main
from edge_retina.errors import BenchmarkError

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
PHONE = Environment("Cortex-X9", 8, None, "Android 20", "aarch64", None, {}, load_average=0.1)


@dataclass
class Phone:
    """Runs .tflite files with XNNPACK; int8 takes 8 ms, everything else 10 ms."""

    serial: str
    measured: list[tuple[str, WorkerTask]] = field(default_factory=list)
    closed: bool = False

    @property
    def name(self) -> str:
        return f"phone:{self.serial}"

    @property
    def backends(self) -> tuple[str, ...]:
        return (XNNPACK,)

    def label(self, backend: str) -> str:
        assert backend == XNNPACK
        return self.name

    def environment(self) -> Environment:
        return PHONE

    def measure(self, candidate: Candidate, task: WorkerTask) -> WorkerResult:
        self.measured.append((candidate.file.name, task))
        precision = "int8" if "int8" in candidate.file.name else "float32"
        return WorkerResult(
            init_ms=1.0,
            preprocess_ms=(0.0,) * task.runs,
            inference_ms=({"int8": 8.0, "float32": 10.0}[precision],) * task.runs,
            postprocess_ms=(0.0,) * task.runs,
            peak_memory_mb=None,
            precision=precision,
            delegate=None,
        )

    def measure_together(
        self, candidates: Sequence[Candidate], team: TeamTask
    ) -> list[WorkerResult]:
        return [self.measure(*pair) for pair in zip(candidates, team.members, strict=True)]

    def detect(self, candidate: Candidate, task: DetectionTask) -> DetectionResult:
        return DetectionResult(task.labels, (), device=self.name)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def models(tmp_path: Path) -> list[Path]:
    """tiny_float32.tflite and tiny_int8.tflite."""
    pairs = (("tiny_float32", "tiny_float32"), ("tiny_uint8", "tiny_int8"))
    return [
        Path(shutil.copy(GOLDEN / f"{source}.tflite", tmp_path / f"{target}.tflite"))
        for source, target in pairs
    ]


def test_a_new_device_is_one_line_in_the_table(
    models: list[Path], add_device_kind: Callable[[str, DeviceKind], None]
) -> None:
    phones: list[Phone] = []

    def open_phone(address: str, options: DeviceOptions) -> Runner:
        phones.append(Phone(address))
        return phones[0]

    add_device_kind("phone", DeviceKind("phone:SERIAL", open_phone))
    arguments = [*map(str, models), "--device", "phone:a7", "--rounds", "2", "--runs", "3"]
    result = CliRunner().invoke(main, ["benchmark", *arguments, "--json", "-"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["device"] == "phone:a7"
    assert document["environment"] == dataclasses.asdict(PHONE)
    assert [item["backend"] for item in document["results"]] == ["phone:a7"] * 2
    assert [item["latency_ms"]["n"] for item in document["results"]] == [6, 6]
    (comparison,) = document["comparisons"]
    assert (comparison["backend"], comparison["reference_backend"]) == ("phone:a7", "phone:a7")
    assert comparison["ratio"] == pytest.approx(0.8)
    (phone,) = phones
    assert phone.closed
    names = ["tiny_float32.tflite", "tiny_int8.tflite"]
    assert [name for name, _ in phone.measured] == [*names, *names[::-1]]  # by rounds
    assert {task.threads for _, task in phone.measured} == {1}


def test_a_model_that_the_device_cannot_run_is_named(
    tmp_path: Path, add_device_kind: Callable[[str, DeviceKind], None]
) -> None:
    add_device_kind("phone", DeviceKind("phone:SERIAL", lambda serial, _: Phone(serial)))
    run = tmp_path / "run"
    (run / "float").mkdir(parents=True)
    (run / "config.toml").write_text("")
    (run / "float" / "best.h5").write_text("weights")
    result = CliRunner().invoke(main, ["benchmark", str(run), "--device", "phone:a7"])
    assert result.exit_code == 1
    assert (
        f"Error: {run}: phone:a7 can't run it; it runs models with tflite-xnnpack" in result.stderr
    )


def test_a_backend_that_the_device_lacks_is_refused(models: list[Path]) -> None:
    items = tflite_candidates(models[0], threads=[1])
    with pytest.raises(BenchmarkError, match="phone:a7 can't run tflite-builtin; it runs tflite-x"):
        run_benchmark(items, runner=Phone("a7"), images=[Path("a.png")])


def test_this_machine_is_the_default_and_runs_everything() -> None:
    runner = open_runner("local")
    assert runner == LocalRunner()
    assert (runner.name, set(runner.backends)) == ("local", {KERAS, XNNPACK, BUILTIN})
    assert [runner.label(backend) for backend in runner.backends] == list(runner.backends)


@pytest.mark.parametrize("device", ["usb:pi@board", "sshd", "", "Local"])
def test_an_unknown_device_is_one_line_with_those_that_exist(
    models: list[Path], device: str
) -> None:
    result = CliRunner().invoke(main, ["benchmark", str(models[0]), "--device", device])
    assert result.exit_code == 1
    assert result.stderr == (
        f"Error: --device {device}: no such device; available: local, "
        "ssh:USER@HOST[:PORT], adb[:SERIAL]\n"
    )
