"""What a worker is asked to do, and what it answers; both travel as JSON."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edge_retina.benchmark.warmup import Warmup
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
        runs: number of timed detections, at least.
        warmup: number of untimed detections before them, at least; one is always made.
        threads: of OpenCV in the preprocessing; the network's are in `options` or `environment`.
        min_seconds: time that the timed detections take together, at least.
        max_warmup_s: patience of `warmup.warm_up`.
    """

    factory: str
    model: str
    options: dict[str, Any]
    environment: dict[str, str]
    images: tuple[str, ...]
    runs: int
    warmup: int
    threads: int
    min_seconds: float = 0.0
    max_warmup_s: float = 0.0

    def to_json(self, kind: str = "measure") -> str:
        """Return the line that `worker` reads; `kind` says whether it is a member of a team."""
        return json.dumps({"kind": kind, **dataclasses.asdict(self)})

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


@dataclass(frozen=True)
class TeamTask:
    """Measure several models that take turns, see `team`.

    Attributes:
        members: what to measure; all have the same images, one for each turn.
    """

    members: tuple[WorkerTask, ...]

    @property
    def environment(self) -> dict[str, str]:
        """Nothing for the leader; each member has its own."""
        return {}

    def to_json(self) -> str:
        """Return the line that `worker` reads."""
        return json.dumps({"kind": "team", **dataclasses.asdict(self)})

    @classmethod
    def from_json(cls, text: str) -> TeamTask:
        """Return the task that `to_json` wrote."""
        tree = json.loads(text)
        trees = ({**item, "images": tuple(item["images"])} for item in tree["members"])
        return cls(tuple(WorkerTask(**item) for item in trees))


Task = WorkerTask | DetectionTask | TeamTask


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
        blocks: how many detections were timed without a pause, in their order; of a team each is
            one turn, and turn i of one member belongs to turn i of the others.
        warmup: before the timed detections; None if it isn't told.
        other_load: cores that other programs kept busy while this one was timed; None if it isn't
            told.
        lost_ms: of each timed detection, how long it was ready to run, but another program had its
            core; empty if it isn't told. With several threads only the main one is known.
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
    blocks: tuple[int, ...] = ()
    warmup: Warmup | None = None
    other_load: float | None = None
    lost_ms: tuple[float, ...] = ()

    @property
    def whole_ms(self) -> tuple[float, ...]:
        """The time of each detection: the sum of its stages; empty if they are not known."""
        if self.summary is not None:
            return ()
        stages = zip(self.preprocess_ms, self.inference_ms, self.postprocess_ms, strict=True)
        return tuple(sum(times) for times in stages)

    @property
    def own_ms(self) -> tuple[float, ...]:
        """The same without what other programs took, as far as that is known."""
        if not self.lost_ms:
            return self.whole_ms
        return tuple(a - b for a, b in zip(self.whole_ms, self.lost_ms, strict=True))

    @classmethod
    def from_dict(cls, tree: dict[str, Any]) -> WorkerResult:
        """Return the result whose JSON object a worker wrote."""
        lists = {key: tuple(item) for key, item in tree.items() if isinstance(item, list)}
        warmup = None if tree["warmup"] is None else Warmup(**tree["warmup"])
        return cls(**{**tree, **lists, "warmup": warmup})


def read_answer(process: subprocess.CompletedProcess[str], *, title: str) -> WorkerResult:
    """Return what a worker that measured wrote to its standard output.

    Args:
        process: the worker.
        title: what was measured, for the error message.

    Raises:
        BenchmarkError: the worker failed or crashed.
    """
    return WorkerResult.from_dict(read_document(process, title=title))


def read_team_answer(
    process: subprocess.CompletedProcess[str], *, titles: Sequence[str]
) -> list[WorkerResult]:
    """Return what the members of a team measured, in their order.

    Args:
        process: the worker that led them.
        titles: of the members, for the error message.

    Raises:
        BenchmarkError: a member failed or crashed; it is named.
    """
    answer = parse_document(process.stdout)
    title = titles[answer["member"]] if "member" in answer else " and ".join(titles)
    document = read_document(process, title=title)
    return [WorkerResult.from_dict(item) for item in document["members"]]


def read_document(process: subprocess.CompletedProcess[str], *, title: str) -> dict[str, Any]:
    """Return the JSON object that a worker wrote to its standard output.

    Args:
        process: the worker.
        title: what it worked on, for the error message.

    Raises:
        BenchmarkError: the worker failed or crashed.
    """
    answer = parse_document(process.stdout)
    failure = failure_text(answer, process.returncode, process.stderr)
    if failure:
        raise BenchmarkError(f"{title}: {failure}")
    return answer


def failure_text(answer: dict[str, Any], returncode: int, errors: str) -> str:
    """Say how a worker failed; "" if it did not.

    Args:
        answer: what `parse_document` returned.
        returncode: negative for a signal.
        errors: its standard error output.
    """
    if "error" in answer:
        return str(answer["error"])
    if returncode or not answer:
        last_line = (errors.strip().splitlines() or ["it wrote nothing"])[-1]
        return f"worker {_ending(returncode)}: {last_line}"
    return ""


def parse_document(text: str) -> dict[str, Any]:
    """Return the JSON object that a worker wrote; empty if it died before it could."""
    try:
        answer: dict[str, Any] = json.loads(text)
    except json.JSONDecodeError:  # the exit code says how
        return {}
    return answer


def _ending(code: int) -> str:
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
