"""Latency on this machine: fresh worker processes, in interleaved rounds."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge_retina.benchmark.accuracy import LabelledData, measure_accuracy
from edge_retina.benchmark.candidate import Candidate
from edge_retina.benchmark.comparison import compare_with_float, with_slow_int8_warnings
from edge_retina.benchmark.environment import read_environment
from edge_retina.benchmark.results import BenchmarkReport
from edge_retina.benchmark.rounds import join_rounds
from edge_retina.benchmark.worker import WorkerResult, WorkerTask
from edge_retina.errors import BenchmarkError
from edge_retina.progress import ProgressUpdate

TIMEOUT_S = 1800  # of one worker: TensorFlow's start on a small board, and then hundreds of runs


def run_benchmark(
    candidates: Sequence[Candidate],
    *,
    images: Sequence[Path],
    runs: int = 50,
    rounds: int = 3,
    warmup: int = 5,
    data: LabelledData | None = None,
    progress: ProgressUpdate | None = None,
) -> BenchmarkReport:
    """Measure all candidates in turn, `rounds` times over, each time in a fresh process.

    Interleaving spreads whatever the machine does meanwhile over all candidates, see
    `statistics.interleaved_ratio`.

    Args:
        candidates: what to measure.
        images: picture files that are detected in turn; decoding them isn't timed.
        runs: timed detections of a candidate in one round.
        rounds: number of rounds.
        warmup: detections before the timed ones in each process.
        data: if given, mAP is measured on it after all timing, once for each model and backend.
        progress: told before each step, with what comes next.

    Raises:
        BenchmarkError: nothing to measure, or a worker failed.
        ModelError, DatasetError: accuracy can't be measured.
    """
    _check(candidates, images, runs=runs, rounds=rounds, warmup=warmup)
    environment = read_environment()
    to_evaluate = len({(item.file, item.backend) for item in candidates}) if data else 0
    tell = _Steps(len(candidates) * rounds + to_evaluate, progress)
    measured: list[list[WorkerResult]] = [[] for _ in candidates]
    for _ in range(rounds):
        for candidate, done_rounds in zip(candidates, measured, strict=True):
            tell(candidate.title)
            done_rounds.append(run_worker(candidate, images=images, runs=runs, warmup=warmup))
    accuracy = {} if data is None else measure_accuracy(candidates, data, progress=tell)
    results = [
        join_rounds(
            candidate,
            done_rounds,
            environment=environment,
            metrics=accuracy.get((candidate.file, candidate.backend)),
        )
        for candidate, done_rounds in zip(candidates, measured, strict=True)
    ]
    comparisons = compare_with_float(candidates, results, rounds=rounds)
    return BenchmarkReport(
        environment=environment,
        results=with_slow_int8_warnings(results, comparisons),
        comparisons=comparisons,
    )


class _Steps:
    """Counts the steps of a benchmark and announces each of them."""

    def __init__(self, total: int, progress: ProgressUpdate | None) -> None:
        self.done = 0
        self.total = total
        self.progress = progress

    def __call__(self, title: str) -> None:
        if self.progress is not None:
            self.progress(self.done, title, total=self.total)
        self.done += 1


def run_worker(
    candidate: Candidate,
    *,
    images: Sequence[Path],
    runs: int,
    warmup: int,
    timeout_s: float = TIMEOUT_S,
) -> WorkerResult:
    """Measure one candidate in a fresh process.

    Raises:
        BenchmarkError: the worker failed, crashed or took longer than `timeout_s`.
    """
    task = WorkerTask(
        factory=candidate.factory,
        kwargs=dict(candidate.kwargs),
        images=tuple(str(path) for path in images),
        runs=runs,
        warmup=warmup,
        threads=candidate.threads,
    )
    try:
        process = subprocess.run(
            [sys.executable, "-m", "edge_retina.benchmark.worker"],
            input=json.dumps(dataclasses.asdict(task)),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env={**os.environ, **candidate.environment},
        )
    except subprocess.TimeoutExpired:
        raise BenchmarkError(
            f"{candidate.title}: not done after {timeout_s:g} s; measure fewer runs"
        ) from None
    return _parse(candidate, process)


def _parse(candidate: Candidate, process: subprocess.CompletedProcess[str]) -> WorkerResult:
    answer = _parse_json(process.stdout)
    if process.returncode == 0 and "error" not in answer:
        return WorkerResult(**{key: _as_tuple(value) for key, value in answer.items()})
    if "error" in answer:
        raise BenchmarkError(f"{candidate.title}: {answer['error']}")
    last_line = (process.stderr.strip().splitlines() or ["it wrote nothing"])[-1]
    raise BenchmarkError(f"{candidate.title}: worker {_ending(process.returncode)}: {last_line}")


def _parse_json(text: str) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = json.loads(text)
    except json.JSONDecodeError:  # it died before it could answer; the exit code says how
        return {}
    return answer


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _ending(code: int) -> str:
    return (
        f"was killed by {signal.Signals(-code).name}"
        if code < 0
        else f"ended with exit code {code}"
    )


def _check(
    candidates: Sequence[Candidate], images: Sequence[Path], *, runs: int, rounds: int, warmup: int
) -> None:
    if not candidates:
        raise BenchmarkError("no model to measure")
    if not images:
        raise BenchmarkError("no picture to measure with")
    for name, value, least in (("runs", runs, 1), ("rounds", rounds, 1), ("warmup", warmup, 0)):
        if value < least:
            raise BenchmarkError(f"{name} must be {least} or more, got {value}")
