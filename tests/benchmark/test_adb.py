"""An Android device that replays what `benchmark_model` printed on others, see android/."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from edge_retina.benchmark import adb
from edge_retina.benchmark.adb import AdbRunner, open_adb
from edge_retina.benchmark.adb_delegate import read_delegate
from edge_retina.benchmark.backends import BUILTIN, GPU, NNAPI, XNNPACK
from edge_retina.benchmark.benchmark_model import parse_output
from edge_retina.benchmark.candidate import Candidate, tflite_candidates
from edge_retina.benchmark.device_options import DeviceOptions
from edge_retina.benchmark.local import LocalRunner
from edge_retina.benchmark.task import OperatorTime, TimesSummary, WorkerResult, WorkerTask
from edge_retina.cli.main import main
from edge_retina.errors import BenchmarkError, DeviceLostError
from edge_retina.runtime.ops import DelegateInfo, LeftOperators
from tests.benchmark.test_ssh import pictures

ANDROID = Path(__file__).parent / "android"
LABELS = ("disc", "square")
GETPROP = """\
#!/bin/sh
case $1 in
  ro.product.manufacturer) echo Google;; ro.product.model) echo 'Pixel 9';;
  ro.soc.model) echo 'Tensor G4';; ro.build.version.release) echo 16;;
  ro.product.cpu.abi) echo arm64-v8a;;
esac
"""


@dataclass(frozen=True)
class Fake:
    """The stand-in device.

    Attributes:
        root: its directory.
        tmp: its /data/local/tmp.
    """

    root: Path
    tmp: Path

    def log(self) -> str:
        return (self.root / "log").read_text()

    def set(self, name: str, text: str = "") -> None:
        (self.root / name).write_text(text)


@pytest.fixture
def phone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """One device, R5CT, with benchmark_model on it, and `adb` on the PATH."""
    root = tmp_path / "phone"
    fake = Fake(root, root / "tmp")
    for directory in (fake.tmp, root / "bin", tmp_path / "path"):
        directory.mkdir(parents=True)
    fake.set("devices", "R5CT\tdevice\n")
    (root / "bin" / "getprop").write_text(GETPROP)
    (root / "bin" / "getprop").chmod(0o755)
    _script(ANDROID / "adb", tmp_path / "path" / "adb")
    _script(ANDROID / "benchmark_model", fake.tmp / "android_arm64_benchmark_model")
    shutil.copytree(ANDROID / "recorded", fake.tmp / "recorded")
    monkeypatch.setenv("FAKE_DEVICE", str(root))
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:/usr/bin:/bin")
    return fake


def _script(source: Path, target: Path) -> None:
    """Copy a Python script, to be run by the Python of the tests."""
    target.write_text(f"#!{sys.executable} -S\n" + source.read_text().split("\n", 1)[1])
    target.chmod(0o755)


def candidates(path: Path) -> dict[str, Candidate]:
    found = tflite_candidates(path, threads=[1], backends=(XNNPACK, BUILTIN, GPU, NNAPI))
    return {item.backend: item for item in found}


def _task(candidate: Candidate, image: Path) -> WorkerTask:
    return candidate.task([image], runs=50, warmup=5, min_seconds=2.5, max_warmup_s=10)


def measure(runner: AdbRunner, candidate: Candidate, image: Path) -> WorkerResult:
    return runner.measure(candidate, _task(candidate, image))


def test_what_the_program_tells(phone: Fake, tiny: list[Path], image: Path) -> None:
    runner = open_adb("", DeviceOptions())
    result = measure(runner, candidates(tiny[1])[XNNPACK], image)
    assert result.summary == TimesSummary(
        n=50, mean=18.9641, stdev=0.549, min=18.007, median=18.981
    )
    assert result.inference_ms == (18.981,)
    assert (result.init_ms, result.first_inference_ms) == (12.333, 20.546)
    assert (result.peak_memory_mb, result.precision) == (31.25, "int8")
    assert result.op_profile == (
        OperatorTime("TfLiteXNNPackDelegate", 1, 18.9),
        OperatorTime("CAST", 1, 0.2),
    )
    assert result.delegate is not None
    assert DelegateInfo.from_dict(result.delegate) == DelegateInfo(
        "xnnpack", 1, 15, 16, (LeftOperators("CAST", 1, 0, "xnnpack does not tell why"),)
    )
    timed, profiled = [line for line in phone.log().splitlines() if "--graph" in line]
    assert "--warmup_runs=5 --warmup_min_secs=1 --num_runs=50 --min_secs=2.5 --max" in timed
    assert "--use_xnnpack=true --input_layer=image --input_layer_shape=1,32,32,3" in timed
    assert "profiling" not in timed  # watching costs time
    assert "--enable_op_profiling=true" in profiled


def test_gpu_and_nnapi_fall_back(phone: Fake, tiny: list[Path], image: Path) -> None:
    runner = open_adb("R5CT", DeviceOptions())
    items = candidates(tiny[1])
    gpu = measure(runner, items[GPU], image).delegate
    assert gpu is not None
    assert DelegateInfo.from_dict(gpu) == DelegateInfo(
        "gpu",
        1,
        14,
        16,
        (
            LeftOperators("CAST", 1, 0, "Operation is not supported."),
            LeftOperators(
                "CONV_2D", 1, 0, "OP is supported, but tensor type/shape isn't compatible."
            ),
        ),
    )
    nnapi = measure(runner, items[NNAPI], image).delegate
    assert nnapi is not None
    assert (nnapi["partitions"], nnapi["nodes_delegated"]) == (0, 0)
    assert measure(runner, items[BUILTIN], image).delegate is None


def test_what_another_delegate_took_is_not_counted(tiny: list[Path]) -> None:
    """A version that doesn't say how many operators the GPU took: XNNPACK's line comes later."""
    recorded = ANDROID / "recorded"
    lines = (recorded / "gpu.txt").read_text().splitlines()
    timed = parse_output("\n".join(line for line in lines if "TfLiteGpuDelegateV2" not in line))
    profile = parse_output("\n".join([*lines, (recorded / "gpu_profile.txt").read_text()]))
    assert timed is not None
    assert profile is not None
    assert timed.replaced == {"TfLiteXNNPackDelegate": 1}
    found = read_delegate(candidates(tiny[1])[GPU], timed, profile)
    assert found is not None
    assert (found.partitions, found.nodes_delegated, found.nodes_total) == (1, 14, 16)


def test_old_output_has_no_median() -> None:
    text = (ANDROID / "recorded" / "cpu.txt").read_text()
    output = parse_output(text.replace("\n", "\r\n"))  # as a terminal sends it
    assert output is not None
    assert output.times == TimesSummary(50, 2950.34, 109.798, 2727.568, None)
    assert (output.warmup_ms, output.peak_memory_mb) == (3450.0, 46.0859)
    assert parse_output(text.partition("Inference timings")[0]) is None


def test_a_delegate_that_takes_everything() -> None:
    text = (ANDROID / "recorded" / "gpu.txt").read_text()
    whole = text.replace("partially executed by the delegate w/ 1 delegate kernels", "completely")
    output = parse_output(whole)
    assert output is not None
    assert (output.wholly, output.partitions) == (True, 1)


def test_detections_come_from_the_device(phone: Fake, tiny: list[Path], tmp_path: Path) -> None:
    """Bit for bit those of this machine: the stand-in runs the model for its output tensors."""
    images = pictures(tmp_path, 2)
    runner = open_adb("", DeviceOptions())
    for path in tiny:
        candidate = candidates(path)[BUILTIN]
        task = candidate.detection_task(images, LABELS)
        here, there = LocalRunner().detect(candidate, task), runner.detect(candidate, task)
        assert (there.device, there.note) == ("adb:R5CT", "")
        assert sum(map(len, there.detections)) >= 2
        for ours, theirs in zip(here.detections, there.detections, strict=True):
            np.testing.assert_array_equal(ours.boxes_norm, theirs.boxes_norm)
            np.testing.assert_array_equal(ours.scores, theirs.scores)
            np.testing.assert_array_equal(ours.classes, theirs.classes)


def test_an_old_program_has_its_accuracy_measured_here_and_says_so(
    phone: Fake, tiny: list[Path], tmp_path: Path
) -> None:
    (phone.tmp / "old").touch()
    candidate = candidates(tiny[0])[BUILTIN]
    task = candidate.detection_task(pictures(tmp_path, 1), LABELS)
    found = open_adb("", DeviceOptions()).detect(candidate, task)
    assert found.device == "local"
    assert found.note.startswith("mAP was measured on this machine, not on adb:R5CT: its")
    assert len(found.detections) == 1


def benchmark(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["benchmark", *map(str, arguments)])


def test_a_whole_benchmark(phone: Fake, tiny: list[Path], tmp_path: Path) -> None:
    target = tmp_path / "results.json"
    result = benchmark(tiny[0], tiny[1], "--device", "adb", "--rounds", 1, "--json", target)
    assert result.exit_code == 0, result.output
    document = json.loads(target.read_text())
    assert document["device"] == "adb:R5CT"
    assert document["environment"]["cpu"] == "Google Pixel 9 Tensor G4"
    assert document["environment"]["os"] == "Android 16"
    labels = [item["backend"] for item in document["results"][:4]]
    assert labels == [f"adb:R5CT:{name}" for name in ("xnnpack", "builtin", "gpu", "nnapi")]
    xnnpack, builtin, _, nnapi = document["results"][:4]
    assert xnnpack["latency_ms"]["n"] == 50
    assert (xnnpack["latency_ms"]["p50"], xnnpack["latency_ms"]["p90"]) == (18.981, None)
    assert xnnpack["latency_ms"]["rounds_ms"] == [18.981]
    assert builtin["latency_ms"]["p50"] is None
    assert xnnpack["stages_ms"] == {"preprocess": None, "inference": 18.981, "postprocess": None}
    assert "inference-only" in xnnpack["warning_codes"]
    assert "fallback" in nnapi["warning_codes"]
    assert len(document["comparisons"]) == 4
    assert "mean 2950.34" in result.stdout
    assert list(phone.tmp.glob("edge-retina-*")) == []


@pytest.mark.parametrize(
    "devices, device, message",
    [
        ("", "adb", "no device; connect one, switch on USB debugging"),
        ("R5CT\tunauthorized\n", "adb", "R5CT does not trust this computer yet; unlock it"),
        ("R5CT\toffline\n", "adb:R5CT", "R5CT is not ready (offline); reconnect it"),
        ("R5CT\tdevice\nemulator-5554\tdevice\n", "adb", "2 devices (R5CT, emulator-5554); name"),
        ("R5CT\tdevice\n", "adb:X1", "no such device; connected: R5CT"),
        ("R5CT\tno permissions (user in plugdev group?)\n", "adb", "is not ready (no permissions"),
    ],
)
def test_devices_that_cannot_be_used(
    phone: Fake, tiny: list[Path], devices: str, device: str, message: str
) -> None:
    phone.set("devices", devices)
    result = benchmark(tiny[0], "--device", device)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"Error: --device {device}: ")
    assert message in line


def test_one_of_two_devices_is_taken_by_its_serial(phone: Fake) -> None:
    phone.set("devices", "R5CT\tdevice\n192.168.1.5:5555\tdevice\n")
    assert open_adb("192.168.1.5:5555", DeviceOptions()).name == "adb:192.168.1.5:5555"


def test_no_adb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(BenchmarkError, match="no adb on this machine; install Android's platform"):
        open_adb("", DeviceOptions())


def test_no_program_on_the_device(phone: Fake, tiny: list[Path], image: Path) -> None:
    (phone.tmp / "android_arm64_benchmark_model").unlink()
    with pytest.raises(BenchmarkError, match="no benchmark_model in /data/local/tmp there; take"):
        measure(open_adb("", DeviceOptions()), candidates(tiny[0])[XNNPACK], image)


def test_a_program_can_be_brought(
    phone: Fake, tiny: list[Path], image: Path, tmp_path: Path
) -> None:
    binary = Path(
        shutil.move(phone.tmp / "android_arm64_benchmark_model", tmp_path / "benchmark_model")
    )
    runner = open_adb("", DeviceOptions(benchmark_binary=binary))
    shutil.copytree(
        phone.tmp / "recorded",
        Path(runner._place().replace("/data/local", str(phone.root))) / "recorded",
    )
    assert measure(runner, candidates(tiny[0])[XNNPACK], image).init_ms == 12.333
    with pytest.raises(BenchmarkError, match=r"--benchmark-binary .*gone: no such file"):
        open_adb("", DeviceOptions(benchmark_binary=tmp_path / "gone"))


def test_no_room(
    phone: Fake, tiny: list[Path], image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone.set("full")
    with pytest.raises(BenchmarkError, match=r"adb:R5CT: no room for tiny_int8\.tflite; free some"):
        measure(open_adb("", DeviceOptions()), candidates(tiny[1])[XNNPACK], image)
    monkeypatch.setattr(adb, "_SPARE_BYTES", 10**18)
    with pytest.raises(BenchmarkError, match=r"no room on adb:R5CT: 0\.0 MB to copy .* MB free in"):
        measure(open_adb("", DeviceOptions()), candidates(tiny[1])[XNNPACK], image)


def test_a_program_that_crashes(phone: Fake, tiny: list[Path]) -> None:
    (phone.tmp / "crash").write_text("--use_gpu=true")
    result = benchmark(tiny[0], "--device", "adb", "--rounds", 1)
    assert result.exit_code == 1
    line = result.stderr.splitlines()[-1]
    assert line.startswith(f"Error: {tiny[0]}, tflite-gpu, 1 thread: benchmark_model was killed by")
    assert "signal 11 on adb:R5CT" in line
    assert line.endswith("to measure without it, add --backend xnnpack,builtin,nnapi")
    assert (
        benchmark(
            tiny[0], "--device", "adb", "--rounds", 1, "--backend", "xnnpack,builtin,nnapi"
        ).exit_code
        == 0
    )


def test_a_device_that_goes_half_way(phone: Fake, tiny: list[Path], tmp_path: Path) -> None:
    """What was measured is kept; what is missing is said."""
    target = tmp_path / "results.json"
    phone.set("gone-at-run", "5")  # each of two candidates takes a timed and a profiled run first
    arguments = ("--device", "adb", "--rounds", 3, "--backend", "xnnpack,builtin")
    result = benchmark(tiny[0], *arguments, "--json", target)
    assert result.exit_code == 1
    line = result.stderr.splitlines()[-1]
    assert line.startswith("Error: adb:R5CT is gone (error: device 'R5CT' not found); check the")
    assert "; kept: 2 of 6 measurements; missing: 4 measurements; run the" in line
    document = json.loads(target.read_text())
    assert [item["latency_ms"]["n"] for item in document["results"]] == [50, 50]
    assert document["missing"] in line
    assert "left there: /data/local/tmp/edge-retina-" in result.stderr


def test_a_device_that_goes_at_once(phone: Fake, tiny: list[Path]) -> None:
    phone.set("gone-at-run", "0")
    with pytest.raises(DeviceLostError, match="adb:R5CT is gone"):
        open_adb("", DeviceOptions()).environment()


def test_a_backend_that_is_not_there(phone: Fake, tiny: list[Path]) -> None:
    result = benchmark(tiny[0], "--device", "adb", "--backend", "gpuu")
    assert (
        result.stderr
        == "Error: --backend gpuu: adb:R5CT has no such backend; did you mean 'gpu'?\n"
    )
    result = benchmark(tiny[0], "--backend", "keras")
    assert f"Error: {tiny[0]}: no backend of --backend keras can run it" in result.stderr


def test_a_required_delegate_that_fell_back(phone: Fake, tiny: list[Path]) -> None:
    result = benchmark(
        tiny[1], "--device", "adb", "--backend", "nnapi", "--require-delegate", "nnapi"
    )
    assert result.exit_code == 1
    assert "nnapi was required, but nnapi took none of the 16 operators" in result.stderr
