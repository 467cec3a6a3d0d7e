"""Measure on an Android device with TensorFlow Lite's own `benchmark_model`, driven through adb.

The program runs a .tflite file on the CPU's kernels, XNNPACK, the GPU or NNAPI. It times the
network alone, on one prepared picture for each round, and keeps no single times. It can write its
output tensors, so that what is found on the device is what mAP is computed from.
"""

from __future__ import annotations

import dataclasses
import logging
import math
import re
import tempfile
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from edge_retina.benchmark.adb_delegate import read_delegate
from edge_retina.benchmark.adb_shell import (
    SHARED_DIRECTORY,
    AdbDevice,
    Finished,
    find_device,
    quote,
)
from edge_retina.benchmark.backends import (
    BUILTIN,
    GPU,
    NNAPI,
    XNNPACK,
    open_model,
    short_name,
)
from edge_retina.benchmark.benchmark_model import BenchmarkOutput, parse_output
from edge_retina.benchmark.candidate import Candidate
from edge_retina.benchmark.detection_answer import DetectionResult
from edge_retina.benchmark.device_options import DeviceOptions
from edge_retina.benchmark.environment import Environment
from edge_retina.benchmark.local import LocalRunner
from edge_retina.benchmark.task import DetectionTask, TeamTask, WorkerResult, WorkerTask
from edge_retina.errors import BenchmarkError, DeviceLostError
from edge_retina.files import sha256_file
from edge_retina.runtime.detector import TFLiteDetector
from edge_retina.runtime.image import load_image

log = logging.getLogger(__name__)

_SPARE_BYTES = 16 * 2**20  # kept free on the device
_PROFILED_RUNS = 10
_TIMEOUT_S = 1800.0
_WARMUP_S = 1.0  # the program can't be told to wait until its times stop drifting
# "use_xnnpack=false" also keeps XNNPACK from being applied by default
_FLAGS = {
    XNNPACK: "--use_xnnpack=true",
    BUILTIN: "--use_xnnpack=false",
    GPU: "--use_gpu=true",
    NNAPI: "--use_nnapi=true",
}
_ENVIRONMENT = """
echo model=$(getprop ro.product.manufacturer) $(getprop ro.product.model)
echo soc=$(getprop ro.soc.model)
echo android=$(getprop ro.build.version.release)
echo abi=$(getprop ro.product.cpu.abi)
echo cores=$(nproc)
echo governor=$(cat /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor 2>/dev/null)
echo load=$(cat /proc/loadavg 2>/dev/null)
"""


@dataclass
class AdbRunner:
    """A `runner.Runner` for an Android device.

    Attributes:
        device: to measure on.
        binary: the `benchmark_model` to bring; None takes one that lies on the device.
    """

    device: AdbDevice
    binary: Path | None = None
    _directory: str = ""  # on the device; made when something is brought
    _program: str = ""
    _there: set[str] = field(default_factory=set)
    _profiles: dict[tuple[Path, str, int], BenchmarkOutput] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """See `Runner`."""
        return self.device.name

    @property
    def backends(self) -> tuple[str, ...]:
        """What the program can be told to use; a device may still lack a GPU or an NNAPI driver."""
        return tuple(_FLAGS)

    def label(self, backend: str) -> str:
        """The device and what computes on it."""
        return f"{self.name}:{short_name(backend)}"

    def environment(self) -> Environment:
        """Describe the device."""
        output = self.device.shell(_ENVIRONMENT.strip().replace("\n", "; ")).output
        found = {key: value for key, _, value in (x.partition("=") for x in output.splitlines())}
        load = found.get("load", "").split()
        return Environment(
            cpu=" ".join(f"{found.get('model', '')} {found.get('soc', '')}".split()) or "unknown",
            cores=int(found.get("cores") or 1),
            governor=found.get("governor") or None,
            os=f"Android {found.get('android', '')}".strip(),
            machine=found.get("abi", "") or "unknown",
            python=None,
            packages={},
            load_average=float(load[0]) if load else 0.0,
        )

    def measure(self, candidate: Candidate, task: WorkerTask) -> WorkerResult:
        """Let `benchmark_model` measure; see `Runner`."""
        detector = _open(candidate)
        key = (candidate.path, candidate.backend, candidate.threads)
        image = Path(task.images[0])  # another in each round
        with tempfile.TemporaryDirectory() as scratch:
            tensor = _write_input(detector, image, Path(scratch) / "input.bin")
            model = self._bring(candidate.path, candidate.title)
            there = self._bring(tensor, candidate.title)
        arguments = self._arguments(candidate, detector, model, there)
        warming = (
            f"--warmup_runs={max(task.warmup, 1)}",
            f"--warmup_min_secs={min(task.max_warmup_s, _WARMUP_S):g}",
        )
        timing = (
            f"--num_runs={task.runs}",
            f"--min_secs={task.min_seconds:g}",
            f"--max_secs={_TIMEOUT_S:g}",
        )
        timed = self._run(candidate, [*arguments, *warming, *timing])
        if key not in self._profiles:  # in a run of its own: watching costs time
            watching = [
                f"--num_runs={_PROFILED_RUNS}",
                "--enable_op_profiling=true",
                "--report_peak_memory_footprint=true",
            ]
            self._profiles[key] = self._run(candidate, [*arguments, *watching])
        profile = self._profiles[key]
        delegate = read_delegate(candidate, timed, profile)
        middle = timed.times.mean if timed.times.median is None else timed.times.median
        return WorkerResult(
            init_ms=timed.init_ms,
            preprocess_ms=(),
            inference_ms=(middle,),
            postprocess_ms=(),
            peak_memory_mb=profile.peak_memory_mb,
            precision=detector.precision,
            delegate=None if delegate is None else dataclasses.asdict(delegate),
            first_inference_ms=timed.first_inference_ms,
            summary=timed.times,
            op_profile=profile.profile(),
        )

    def measure_together(
        self, candidates: Sequence[Candidate], team: TeamTask
    ) -> list[WorkerResult]:
        """Let `benchmark_model` measure one after the other: it can't pause."""
        pairs = zip(candidates, team.members, strict=True)
        return [self.measure(candidate, task) for candidate, task in pairs]

    def detect(self, candidate: Candidate, task: DetectionTask) -> DetectionResult:
        """Let `benchmark_model` run on each picture and decode the tensors that it writes.

        Older versions can't write them; then the objects are found on this machine, and the result
        says so.
        """
        detector = _open(candidate)
        if detector.labels != task.labels:
            return DetectionResult(detector.labels, (), device=self.name)
        layout = _output_layout(candidate.path)
        model = self._bring(candidate.path, candidate.title)
        found = []
        with tempfile.TemporaryDirectory() as scratch:
            output = Path(scratch) / "output.bin"
            for image in task.images:
                tensor = _write_input(detector, Path(image), Path(scratch) / "input.bin")
                if not self._invoke(candidate, detector, model, tensor, output):
                    return self._detect_here(candidate, task)
                content = output.read_bytes()
                if len(content) != sum(part.size_bytes for part in layout):
                    raise BenchmarkError(
                        f"{candidate.title}: {self.name} wrote {len(content)} bytes of outputs, "
                        f"the model has {sum(part.size_bytes for part in layout)}; try another "
                        "version of benchmark_model"
                    )
                raw = _split(content, layout)
                found.append(detector.postprocess(tuple(raw[i] for i in detector.output_indices)))
        return DetectionResult(detector.labels, tuple(found), device=self.name)

    def close(self) -> None:
        """Remove what was brought."""
        if self._directory:
            try:
                self.device.shell(f"rm -rf {quote(self._directory)}")
            except DeviceLostError as error:
                log.warning("%s; left there: %s", error, self._directory)
            self._directory = ""
            self._program = ""
            self._there.clear()

    def _invoke(
        self,
        candidate: Candidate,
        detector: TFLiteDetector,
        model: str,
        tensor: Path,
        output: Path,
    ) -> bool:
        """Run once; return whether the program wrote its output tensors."""
        there = f"{self._place()}/input.bin"
        self.device.push(tensor, there)
        target = f"{self._place()}/output.bin"
        once = ("--num_runs=1", "--min_secs=0", "--warmup_runs=0", "--warmup_min_secs=0")
        arguments = self._arguments(candidate, detector, model, there)
        self.device.shell(f"rm -f {quote(target)}")  # an earlier picture's would be taken for it
        self._run(candidate, [*arguments, *once, f"--output_filepath={target}"])
        return self.device.pull(target, output)

    def _detect_here(self, candidate: Candidate, task: DetectionTask) -> DetectionResult:
        note = (
            f"mAP was measured on this machine, not on {self.name}: its benchmark_model can't "
            "write output tensors (no --output_filepath); a version of 2023 or later can"
        )
        return dataclasses.replace(LocalRunner().detect(candidate, task), note=note)

    def _arguments(
        self, candidate: Candidate, detector: TFLiteDetector, model: str, tensor: str
    ) -> list[str]:
        height, width = detector.input_hw
        return [
            f"--graph={model}",
            f"--num_threads={candidate.threads}",
            _FLAGS[candidate.backend],
            # The name need not be the tensor's own, and this one has no ":" to escape
            "--input_layer=image",
            f"--input_layer_shape=1,{height},{width},3",
            f"--input_layer_value_files=image:{tensor}",
        ]

    def _run(self, candidate: Candidate, arguments: list[str]) -> BenchmarkOutput:
        command = " ".join(map(quote, [self._find_program(), *arguments]))
        try:
            finished = self.device.shell(
                f"cd {quote(self._place())} && {command}", timeout_s=_TIMEOUT_S
            )
        except TimeoutError:
            raise BenchmarkError(
                f"{candidate.title}: not done on {self.name} after {_TIMEOUT_S:g} s; measure fewer "
                "runs"
            ) from None
        output = parse_output(finished.output)
        if finished.code or output is None:
            raise BenchmarkError(f"{candidate.title}: {_failure(finished, candidate, self.name)}")
        return output

    def _find_program(self) -> str:
        if self._program:
            return self._program
        if self.binary is not None:
            self._program = self._bring(self.binary, "benchmark_model")
            self.device.shell(f"chmod 755 {quote(self._program)}")
            return self._program
        pattern = f"{SHARED_DIRECTORY}/*benchmark_model"
        found = self.device.shell(f"ls {pattern} 2>/dev/null").output.split()
        if not found:
            raise BenchmarkError(
                f"--device {self.name}: no benchmark_model in {SHARED_DIRECTORY} there; take the "
                "one for its processor from tensorflow.org/lite/performance/measurement and give "
                "it with --benchmark-binary"
            )
        self._program = found[0]
        return self._program

    def _place(self) -> str:
        if not self._directory:
            directory = f"{SHARED_DIRECTORY}/edge-retina-{uuid.uuid4().hex[:12]}"
            made = self.device.shell(f"mkdir {quote(directory)}")
            if made.code:
                raise BenchmarkError(f"{self.name}: {made.output.strip()}; free some room there")
            self._directory = directory
        return self._directory

    def _bring(self, path: Path, title: str) -> str:
        """Copy a file unless it is there, check its SHA-256, and return its path there."""
        if not path.is_file():
            raise BenchmarkError(f"{path}: no such file")
        digest = sha256_file(path)
        target = f"{self._place()}/{digest[:16]}{path.suffix}"
        if target not in self._there:
            self._check_room(path.stat().st_size, title)
            self.device.push(path, target)
            told = self.device.shell(f"sha256sum {quote(target)}").output.split()
            if told[:1] != [digest]:
                raise BenchmarkError(
                    f"{self.name}: {path.name} arrived changed (SHA-256 {(told or ['?'])[0]}, sent "
                    f"{digest}); check the cable and try again"
                )
            self._there.add(target)
        return target

    def _check_room(self, size_bytes: int, title: str) -> None:
        lines = self.device.shell(f"df -k {SHARED_DIRECTORY}").output.strip().splitlines()
        fields = lines[-1].split() if lines else []
        # Filesystem, blocks, used, available, ...; a long name of the first may stand alone above
        numbers = [int(item) for item in fields if item.isdecimal()]
        if len(numbers) >= 3 and size_bytes + _SPARE_BYTES > numbers[2] * 1024:
            raise BenchmarkError(
                f"{title}: no room on {self.name}: {size_bytes / 1e6:.1f} MB to copy and "
                f"{_SPARE_BYTES / 1e6:.1f} MB to spare, {numbers[2] * 1024 / 1e6:.1f} MB free in "
                f"{SHARED_DIRECTORY}; free some there"
            )


def open_adb(address: str, options: DeviceOptions) -> AdbRunner:
    """Return the runner of `--device adb[:SERIAL]`.

    Raises:
        BenchmarkError: no such device, or it can't be used.
    """
    binary = options.benchmark_binary
    if binary is not None and not binary.is_file():
        raise BenchmarkError(f"--benchmark-binary {binary}: no such file")
    return AdbRunner(find_device(address), binary)


@dataclass(frozen=True)
class _OutputTensor:
    index: int
    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def size_bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def _open(candidate: Candidate) -> TFLiteDetector:
    """Open the file here, to prepare pictures and to decode outputs."""
    detector = None if candidate.foreign else open_model(candidate.path, BUILTIN)
    if not isinstance(detector, TFLiteDetector):
        raise BenchmarkError(
            f"{candidate.title}: another framework's file can't be measured through adb yet; "
            "measure it here or through ssh"
        )
    return detector


def _write_input(detector: TFLiteDetector, image: Path, path: Path) -> Path:
    path.write_bytes(np.ascontiguousarray(detector.preprocess(load_image(image))).tobytes())
    return path


def _output_layout(model: Path) -> list[_OutputTensor]:
    """Return the outputs in the file's own order, in which the program writes them."""
    interpreter = Interpreter(model_path=str(model))
    return [
        _OutputTensor(int(item["index"]), tuple(map(int, item["shape"])), np.dtype(item["dtype"]))
        for item in interpreter.get_output_details()
    ]


def _split(content: bytes, layout: list[_OutputTensor]) -> dict[int, np.ndarray]:
    arrays = {}
    start = 0
    for tensor in layout:
        part = content[start : start + tensor.size_bytes]
        arrays[tensor.index] = np.frombuffer(part, tensor.dtype).reshape(tensor.shape)
        start += tensor.size_bytes
    return arrays


def _failure(finished: Finished, candidate: Candidate, device: str) -> str:
    """Say in one line how the program failed, and how to go on without it."""
    lines = [line.strip() for line in finished.output.splitlines() if line.strip()]
    told = [line for line in lines if re.match(r"ERROR|FATAL|Failed|.*[Ff]ault|Aborted", line)]
    words = (told or lines or ["it wrote nothing"])[-1]
    if finished.code in (126, 127):
        return f"benchmark_model can't run on {device} ({words}); is it the one for this processor?"
    how = f"was killed by signal {finished.code - 128}" if finished.code > 128 else "failed"
    others = ",".join(short_name(name) for name in _FLAGS if name != candidate.backend)
    return (
        f"benchmark_model {how} on {device} ({words}); to measure without it, add --backend "
        f"{others}"
    )
