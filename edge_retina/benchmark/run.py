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
from edge_retina.benchmark.baseline import Baseline
from edge_retina.benchmark.candidate import Candidate
from edge_retina.benchmark.comparison import (
    compare_with_float,
    teams_of,
    with_slow_int8_warnings,
)
from edge_retina.benchmark.delegation import RequiredDelegate
from edge_retina.benchmark.results import BenchmarkReport
from edge_retina.benchmark.rounds import join_rounds
from edge_retina.benchmark.runner import Runner
from edge_retina.benchmark.task import TeamTask, WorkerResult
from edge_retina.benchmark.timing_plan import SINGLE_STREAM, TimingPlan
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
    plan: TimingPlan | None = None,
    data: LabelledData | None = None,
    known_metrics: Mapping[ModelKey, CocoMetrics] | None = None,
    require_delegate: RequiredDelegate | None = None,
    baseline: Baseline | None = None,
    allow_other_machine: bool = False,
    progress: ProgressUpdate | None = None,
    on_accuracy: Callable[[str, str, Accuracy], None] | None = None,
) -> BenchmarkReport:
    """Measure all candidates in turn, round by round, each time in a fresh process.

    Interleaving spreads the drift of the machine over all candidates. Those that are compared also
    take short turns within a round, see `team` and `statistics.interleaved_ratio`. If the device is
    lost on the way, what was measured before is returned, and `BenchmarkReport.missing` says what
    is not.

    Args:
        candidates: what to measure.
        runner: the device to measure on.
        images: image files that are used in turn; decoding them isn't timed.
        plan: how long and how often; by default what `TimingPlan` says.
        data: if given, mAP is measured on it after all timing, once for each model and backend that
            `known_metrics` lacks: objects are found on the device.
        known_metrics: of the same models and data, by (SHA-256 of the model file, backend); see
            `evaluation.record.recorded_metrics`.
        require_delegate: fail as soon as this delegate has not run all it should.
        baseline: an older benchmark to compare with.
        allow_other_machine: compare with it even if it is of another machine.
        progress: told before each step what comes next.
        on_accuracy: given the model, the backend, as results name them, and the accuracy of each
            model that mAP is known of, with its detections if they were found here.

    Raises:
        BenchmarkError: nothing to measure, a worker failed, a required delegate fell back, or the
            baseline is of another machine.
        DeviceLostError: the device was lost before anything was measured.
        ModelError, DatasetError: accuracy can't be measured.
    """
    plan = plan or TimingPlan()
    plan.check()
    _check(candidates, runner, images)
    if require_delegate is not None:
        require_delegate.check_candidates(candidates)
    if data is not None:
        for candidate in candidates:
            shared_classes(candidate, data)  # before minutes of timing
    environment = runner.environment()
    if baseline is not None:
        baseline.check(
            environment,
            device=runner.name,
            scenario=plan.scenario,
            allow_other_machine=allow_other_machine,
        )
    keys = _keys(candidates)
    known = {key: Accuracy(metrics) for key, metrics in (known_metrics or {}).items()}
    to_evaluate = unmeasured(candidates, keys, known) if data else []
    tell = _Steps(len(candidates) * plan.rounds + len(to_evaluate), progress)
    measured: list[list[WorkerResult]] = [[] for _ in candidates]
    accuracy: dict[tuple[Path, str], Accuracy] = {}
    missing = ""
    try:
        for number in range(plan.rounds):
            for team in _teams(candidates, plan, number):
                members = [candidates[place] for place in team]
                tell(" and ".join(member.title for member in members), steps=len(members))
                found = _measure(members, runner, _images_of(number, images, plan), plan)
                for place, result in zip(team, found, strict=True):
                    measured[place].append(result)
                    if require_delegate is not None:
                        require_delegate.check(candidates[place], result)
        if data:
            accuracy.update(measure_accuracy(to_evaluate, data, runner=runner, progress=tell))
    except DeviceLostError as error:
        if not any(measured):
            raise
        missing = _missing_text(error, measured, plan.rounds, len(to_evaluate) - len(accuracy))
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
            scenario=plan.scenario,
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
        scenario=plan.scenario,
        baseline=baseline.compare(results) if baseline is not None else (),
        data=None if data is None else data.to_dict(),
    )


def _teams(candidates: Sequence[Candidate], plan: TimingPlan, number: int) -> list[list[int]]:
    """Return who is measured together in a round, by their places."""
    if plan.scenario == SINGLE_STREAM:
        return [[place] for place in range(len(candidates))]
    # Who is first finds other free memory than who is second: they change places
    return [team[::-1] if number % 2 else team for team in teams_of(candidates)]


def _images_of(number: int, images: Sequence[Path], plan: TimingPlan) -> list[Path]:
    """Return the images of a round: all of them, but every round starts at another one."""
    first = number * max(1, len(images) // plan.rounds) % len(images)
    return [*images[first:], *images[:first]]


def _measure(
    members: Sequence[Candidate], runner: Runner, images: Sequence[Path], plan: TimingPlan
) -> list[WorkerResult]:
    tasks = tuple(
        member.task(
            images,
            runs=plan.runs_per_round,
            warmup=plan.warmup,
            min_seconds=plan.seconds_per_round,
            max_warmup_s=plan.max_warmup_s,
        )
        for member in members
    )
    if len(tasks) == 1:
        return [runner.measure(members[0], tasks[0])]
    return runner.measure_together(members, TeamTask(tasks))


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

    def __call__(self, title: str, *, steps: int = 1) -> None:
        if self.progress is not None:
            self.progress(self.done, title, total=self.total)
        self.done += steps


def _check(candidates: Sequence[Candidate], runner: Runner, images: Sequence[Path]) -> None:
    if not candidates:
        raise BenchmarkError("no model to measure")
    if not images:
        raise BenchmarkError("no image to measure with")
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
