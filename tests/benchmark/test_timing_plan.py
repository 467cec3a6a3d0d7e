"""How long a benchmark measures, and the options that say so."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge_retina.benchmark import timing_plan
from edge_retina.benchmark.candidate import Candidate, tflite_candidates
from edge_retina.benchmark.local import LocalRunner
from edge_retina.benchmark.run import run_benchmark
from edge_retina.benchmark.task import TeamTask, WorkerResult, WorkerTask
from edge_retina.benchmark.timing_plan import TimingPlan
from edge_retina.cli.main import main

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["benchmark", *map(str, arguments)])


def test_by_default_all_rounds_together_make_50_runs_and_5_seconds() -> None:
    plan = TimingPlan()
    assert (plan.rounds, plan.runs_per_round, plan.seconds_per_round) == (5, 10, 1.0)
    assert TimingPlan(rounds=3).runs_per_round == 17
    assert TimingPlan(rounds=3, runs=2).runs_per_round == 2


def test_the_single_stream_is_that_of_mlperf() -> None:
    plan = TimingPlan.single_stream()
    assert (plan.rounds, plan.runs_per_round, plan.seconds_per_round) == (1, 1024, 60.0)


@dataclass(frozen=True)
class NotingRunner(LocalRunner):
    """Measures nothing, and notes what it was asked."""

    tasks: list[tuple[WorkerTask, ...]] = field(default_factory=list)

    def measure(self, candidate: Candidate, task: WorkerTask) -> WorkerResult:
        self.tasks.append((task,))
        return WorkerResult(1.0, (1.0,), (1.0,), (1.0,), None, "float32", None)

    def measure_together(self, candidates: object, team: TeamTask) -> list[WorkerResult]:
        self.tasks.append(team.members)
        return [WorkerResult(1.0, (1.0,), (1.0,), (1.0,), None, "float32", None)] * 2


def asked(plan: TimingPlan, tiny: list[Path], images: list[str]) -> list[tuple[WorkerTask, ...]]:
    candidates = [item for path in tiny for item in tflite_candidates(path, threads=[1])[:1]]
    runner = NotingRunner()
    run_benchmark(candidates, runner=runner, images=[Path(name) for name in images], plan=plan)
    return runner.tasks


def test_rounds_start_with_other_members_and_other_pictures(tiny: list[Path]) -> None:
    plan = TimingPlan(rounds=3, runs=4, min_seconds=6, max_warmup_s=7)
    rounds = asked(plan, tiny, list("abcdefg"))
    names = [[Path(task.model).stem for task in members] for members in rounds]
    there = ["tiny_float32", "tiny_int8"]
    assert names == [there, there[::-1], there]
    for members, order in zip(rounds, ("abcdefg", "cdefgab", "efgabcd"), strict=True):
        assert {"".join(task.images) for task in members} == {order}
        for task in members:
            assert (task.runs, task.min_seconds, task.max_warmup_s) == (4, 2.0, 7)


def test_one_picture_is_in_every_round(tiny: list[Path]) -> None:
    assert {task.images for team in asked(TimingPlan(), tiny, ["a"]) for task in team} == {("a",)}


def test_in_a_single_stream_nobody_takes_turns(tiny: list[Path]) -> None:
    tasks = asked(TimingPlan.single_stream(), tiny, ["a"])
    assert [len(members) for members in tasks] == [1, 1]
    assert {(task.runs, task.min_seconds) for (task,) in tasks} == {(1024, 60.0)}


def test_a_single_stream_says_what_it_is(
    monkeypatch: pytest.MonkeyPatch, tiny: list[Path], tmp_path: Path
) -> None:
    """As the command does it, with less patience."""
    monkeypatch.setattr(timing_plan, "QUERIES", 12)
    monkeypatch.setattr(timing_plan, "QUERY_SECONDS", 0.05)
    target = tmp_path / "result.json"
    arguments = (tiny[0], "--backend", "xnnpack", "--scenario", "single-stream")
    result = run(*arguments, "--max-warmup", 0, "--json", target)
    assert result.exit_code == 0, result.output
    assert "single-stream: p90 is the result" in result.stdout
    document = json.loads(target.read_text())
    (item,) = document["results"]
    assert (document["scenario"], item["scenario"]) == ("single-stream", "single-stream")
    (turns,) = item["samples_ms"]["turns"]
    assert turns == [item["latency_ms"]["n"]]
    assert item["latency_ms"]["n"] >= 12
    assert sum(item["latency_ms"]["samples"]) >= 50


def test_a_single_stream_has_its_own_numbers(tiny: list[Path]) -> None:
    result = run(tiny[0], "--scenario", "single-stream", "--runs", 5, "--min-seconds", 1)
    assert result.exit_code == 2
    assert "has numbers of its own: leave out --runs and --min-seconds" in result.stderr


def test_an_unknown_scenario_is_refused(tiny: list[Path]) -> None:
    result = run(tiny[0], "--scenario", "offline")
    assert result.exit_code == 1
    assert "'interleaved', 'single-stream'" in result.stderr
