"""What a worker is asked to do, and what it answers; both travel as JSON."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
from dataclasses import dataclass
from typing import Any

from edge_retina.errors import BenchmarkError


@dataclass(frozen=True)
class WorkerTask:
    """What to measure.

    Attributes:
        factory: "module:function" that returns a `worker.StagedPredictor`.
        model: path of the model, the factory's first argument.
        options: the factory's keyword arguments.
        environment: variables to set before the worker's process starts.
        images: image files, used in turn.
        runs: number of timed detections.
        warmup: number of untimed detections before them.
        threads: of OpenCV in the preprocessing; the network's are in `options` or `environment`.
    """

    factory: str
    model: str
    options: dict[str, Any]
    environment: dict[str, str]
    images: tuple[str, ...]
    runs: int
    warmup: int
    threads: int

    def to_json(self) -> str:
        """Return the text that `worker` reads."""
        return json.dumps({"kind": "measure", **dataclasses.asdict(self)})

    @classmethod
    def from_json(cls, text: str) -> WorkerTask:
        """Return the task that `to_json` wrote."""
        tree = json.loads(text)
        del tree["kind"]
        return cls(**{**tree, "images": tuple(tree["images"])})


@dataclass(frozen=True)
class DetectionTask:
    """Find the objects in images, for their accuracy to be evaluated elsewhere.

    Attributes:
        factory, model, options, environment, threads: as in `WorkerTask`.
        images: image files.
        labels: the class names that the model should have; if it has others, it finds nothing.
    """

    factory: str
    model: str
    options: dict[str, Any]
    environment: dict[str, str]
    images: tuple[str, ...]
    labels: tuple[str, ...]
    threads: int

    def to_json(self) -> str:
        """Return the text that `worker` reads."""
        return json.dumps({"kind": "detect", **dataclasses.asdict(self)})

    @classmethod
    def from_json(cls, text: str) -> DetectionTask:
        """Return the task that `to_json` wrote."""
        tree = json.loads(text)
        del tree["kind"]
        lists = {name: tuple(tree[name]) for name in ("images", "labels")}
        return cls(**{**tree, **lists})


Task = WorkerTask | DetectionTask


@dataclass(frozen=True)
class TimesSummary:
    """What is known of times that were not kept one by one, in milliseconds.

    Attributes:
        n: how many there were.
        mean, stdev, min: of all.
        median: None if it wasn't told.
    """

    n: int
    mean: float
    stdev: float
    min: float
    median: float | None


@dataclass(frozen=True)
class OperatorTime:
    """The time that operators of one type take in one inference.

    Attributes:
        name: of the type; a delegate's name for everything inside it.
        count: how many there are.
        mean_ms: of all of them together.
    """

    name: str
    count: int
    mean_ms: float


@dataclass(frozen=True)
class WorkerResult:
    """What was measured.

    Attributes:
        init_ms: time to open the model, imports not counted.
        preprocess_ms, inference_ms, postprocess_ms: of each timed detection, in their order.
        peak_memory_mb: of the whole worker process; None where the system doesn't tell.
        precision: "float32", "float16" or "int8".
        delegate: fields of `runtime.ops.DelegateInfo`; None without a delegate.
        first_inference_ms: the first detection after the model was opened; None if not told.
        summary: instead of single times, what a program that keeps none tells about them; then
            `inference_ms` has one value, the middle, and the other stages were not run.
        op_profile: time by type of operator, where it was measured.
    """

    init_ms: float
    preprocess_ms: tuple[float, ...]
    inference_ms: tuple[float, ...]
    postprocess_ms: tuple[float, ...]
    peak_memory_mb: float | None
    precision: str
    delegate: dict[str, Any] | None
    first_inference_ms: float | None = None
    summary: TimesSummary | None = None
    op_profile: tuple[OperatorTime, ...] = ()


def read_answer(process: subprocess.CompletedProcess[str], *, title: str) -> WorkerResult:
    """Return what a worker that measured wrote to its standard output.

    Args:
        process: the worker.
        title: what was measured, for the error message.

    Raises:
        BenchmarkError: the worker failed or crashed.
    """
    answer = read_document(process, title=title)
    lists = {key: tuple(item) for key, item in answer.items() if isinstance(item, list)}
    return WorkerResult(**{**answer, **lists})


def read_document(process: subprocess.CompletedProcess[str], *, title: str) -> dict[str, Any]:
    """Return the JSON object that a worker wrote to its standard output.

    Args:
        process: the worker.
        title: what it worked on, for the error message.

    Raises:
        BenchmarkError: the worker failed or crashed.
    """
    answer = _parse_json(process.stdout)
    if "error" in answer:
        raise BenchmarkError(f"{title}: {answer['error']}")
    if process.returncode or not answer:
        last_line = (process.stderr.strip().splitlines() or ["it wrote nothing"])[-1]
        raise BenchmarkError(f"{title}: worker {_ending(process.returncode)}: {last_line}")
    return answer


def _parse_json(text: str) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = json.loads(text)
    except json.JSONDecodeError:  # it died before it could answer; the exit code says how
        return {}
    return answer


def _ending(code: int) -> str:
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
