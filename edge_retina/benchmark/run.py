"""A whole benchmark: interleaved rounds of latency, then mAP, then comparisons."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from edge_retina.benchmark.accuracy import (
    Accuracy,
    LabelledData,
    measure_accuracy,
    shared_classes,
    unmeasured,
)
from edge_retina.benchmark.accuracy_difference import with_accuracy_differences
from edge_retina.benchmark.candidate import Candidate
from edge_retina.benchmark.comparison import compare_with_float, with_slow_int8_warnings
from edge_retina.benchmark.delegation import RequiredDelegate
from edge_retina.benchmark.results import BenchmarkReport
from edge_retina.benchmark.rounds import join_rounds
from edge_retina.benchmark.runner import Runner
from edge_retina.benchmark.task import WorkerResult
from edge_retina.errors import BenchmarkError, DeviceLostError
from edge_retina.evaluation.coco_metrics import CocoMetrics
from edge_retina.evaluation.record import ModelKey
from edge_retina.files import sha256_file
from edge_retina.progress import ProgressUpdate


def run_benchmark(
    candidates: Sequence[Candidate],
    *,
    runner: Runner,
    images: Sequence[Path],
    runs: int = 50,
    rounds: int = 3,
    warmup: int = 5,
    data: LabelledData | None = None,
    known_metrics: Mapping[ModelKey, CocoMetrics] | None = None,
    require_delegate: RequiredDelegate | None = None,
    progress: ProgressUpdate | None = None,
    on_accuracy: Callable[[str, str, Accuracy], None] | None = None,
) -> BenchmarkReport:
    """Measure all candidates in turn, `rounds` times over, each time in a fresh process.

    Interleaving spreads the drift of the machine over all candidates, see
    `statistics.interleaved_ratio`. If the device is lost on the way, what was measured before is
    returned, and `BenchmarkReport.missing` says what is not.

    Args:
        candidates: what to measure.
        runner: the device to measure on.
        images: image files that are used in turn; decoding them isn't timed.
        runs: timed detections of a candidate per round.
        rounds: number of rounds.
        warmup: detections before the timed ones in each process.
        data: if given, mAP is measured on it after all timing, once for each model and backend that
            `known_metrics` lacks: objects are found on the device.
        known_metrics: of the same models and data, by (SHA-256 of the model file, backend); see
            `evaluation.record.recorded_metrics`.
        require_delegate: fail as soon as this delegate has not run all it should.
        progress: told before each step what comes next.
        on_accuracy: given the model, the backend, as results name them, and the accuracy of each
            model that mAP is known of, with its detections if they were found here.

    Raises:
        BenchmarkError: nothing to measure, a worker failed, or a required delegate fell back.
        DeviceLostError: the device was lost before anything was measured.
        ModelError, DatasetError: accuracy can't be measured.
    """
    _check(candidates, runner, images, runs=runs, rounds=rounds, warmup=warmup)
    if require_delegate is not None:
        require_delegate.check_candidates(candidates)
    if data is not None:
        for candidate in candidates:
            shared_classes(candidate, data)  # before minutes of timing
    environment = runner.environment()
    keys = _keys(candidates)
    known = {key: Accuracy(metrics) for key, metrics in (known_metrics or {}).items()}
    to_evaluate = unmeasured(candidates, keys, known) if data else []
    tell = _Steps(len(candidates) * rounds + len(to_evaluate), progress)
    measured: list[list[WorkerResult]] = [[] for _ in candidates]
    accuracy: dict[tuple[Path, str], Accuracy] = {}
    missing = ""
    try:
        for _ in range(rounds):
            for candidate, done in zip(candidates, measured, strict=True):
                tell(candidate.title)
                task = candidate.task(images, runs=runs, warmup=warmup)
                done.append(runner.measure(candidate, task))
                if require_delegate is not None:
                    require_delegate.check(candidate, done[-1])
        if data:
            accuracy.update(measure_accuracy(to_evaluate, data, runner=runner, progress=tell))
    except DeviceLostError as error:
        if not measured[0]:
            raise
        missing = _missing_text(error, measured, rounds, len(to_evaluate) - len(accuracy))
    reached = [index for index, done in enumerate(measured) if done]
    accuracies = [
        known.get(keys[index], accuracy.get((candidates[index].path, candidates[index].backend)))
        for index in reached
    ]
    results = [
        join_rounds(
            candidates[index],
            measured[index],
            sha256=keys[index][0],
            label=runner.label(candidates[index].backend),
            environment=environment,
            accuracy=one,
        )
        for index, one in zip(reached, accuracies, strict=True)
    ]
    comparisons = compare_with_float([candidates[index] for index in reached], results)
    rated = {
        (result.model, result.backend): one
        for result, one in zip(results, accuracies, strict=True)
        if one is not None
    }
    if on_accuracy is not None:
        for (model, backend), one in rated.items():
            on_accuracy(model, backend, one)
    return BenchmarkReport(
        device=runner.name,
        environment=environment,
        results=with_slow_int8_warnings(results, comparisons),
        comparisons=with_accuracy_differences(comparisons, rated),
        missing=missing,
        data=None if data is None else data.to_dict(),
    )


def _missing_text(
    error: DeviceLostError, measured: Sequence[Sequence[WorkerResult]], rounds: int, mAPs: int
) -> str:
    whole = sum(map(len, measured))
    wanted = rounds * len(measured)
    text = f"{error}; kept: {whole} of {wanted} measurements"
    if whole < wanted:
        text += f"; missing: {wanted - whole} measurements"
    if mAPs:
        text += f"; missing: mAP of {mAPs} models"
    return f"{text}; run the benchmark again"


def _keys(candidates: Sequence[Candidate]) -> list[ModelKey]:
    hashes = {file: sha256_file(file) for file in {item.file for item in candidates}}
    return [(hashes[item.file], item.backend) for item in candidates]


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


def _check(
    candidates: Sequence[Candidate],
    runner: Runner,
    images: Sequence[Path],
    *,
    runs: int,
    rounds: int,
    warmup: int,
) -> None:
    if not candidates:
        raise BenchmarkError("no model to measure")
    if not images:
        raise BenchmarkError("no image to measure with")
    for name, value, least in (("runs", runs, 1), ("rounds", rounds, 1), ("warmup", warmup, 0)):
        if value < least:
            raise BenchmarkError(f"{name} must be {least} or more, got {value}")
    for candidate in candidates:
        if candidate.backend not in runner.backends:
            raise BenchmarkError(
                f"{candidate.title}: {runner.name} can't run {candidate.backend}; it runs "
                f"{', '.join(runner.backends)}"
            )
        if not candidate.file.is_file():
            raise BenchmarkError(
                f"{candidate.file}: no such file; name a .tflite file, a run directory or an "
                "export directory"
            )
