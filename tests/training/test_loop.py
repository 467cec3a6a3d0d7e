"""What the loop does around its steps; the steps are stand-ins."""

from __future__ import annotations

import itertools
import json
import math
import time
from pathlib import Path
from typing import Any

import pytest

from edge_retina.errors import TrainingError
from edge_retina.training.schedule import Schedule

pytestmark = pytest.mark.tf

SCHEDULE = Schedule(peak=1.0, total_steps=50, warmup_steps=5, final_fraction=0.1)


class Recorder:
    """Stands for everything that a loop calls and writes down what happened in its order."""

    def __init__(self, results: Any = None) -> None:
        self.events: list[tuple[Any, ...]] = []
        self._results = results or itertools.repeat((1.0, 1.0))

    def step(self, number: int, *, learning_rate: float) -> Any:
        from edge_retina.training.step import StepResult

        self.events.append(("step", number, learning_rate))
        loss, norm = next(self._results)
        return StepResult({"cls_loss": loss, "box_loss": 0.5}, norm)

    def write(self, step: int, **values: Any) -> None:
        self.events.append(("log", step, values["learning_rate"]))

    def hook(self, name: str) -> Any:
        return lambda step: self.events.append((name, step))

    def of(self, kind: str) -> list[int]:
        return [event[1] for event in self.events if event[0] == kind]


def loop_of(recorder: Recorder, **options: Any) -> Any:
    from edge_retina.training.loop import Hooks, TrainingLoop

    hooks = {"evaluation_steps": frozenset({7, 30, 45}), **options.pop("hooks", {})}
    for name in ("before_step", "evaluate", "save"):
        hooks.setdefault(name, recorder.hook(name))
    return TrainingLoop(
        recorder.step,
        iter((number,) for number in itertools.count()),
        schedule=SCHEDULE,
        batch_size=8,
        metrics=options.pop("metrics", recorder),
        progress=lambda done, note="", total=None: recorder.events.append(("progress", done)),
        remedy="do something",
        hooks=Hooks(**hooks),
        **options,
    )


def test_steps_logs_evaluations_and_saves_in_their_order():
    recorder = Recorder()
    loop_of(recorder).run(0, 45)
    assert recorder.of("step") == list(range(45))
    assert recorder.of("before_step") == list(range(45))
    assert recorder.of("progress") == list(range(1, 46))
    assert recorder.of("log") == [1, 7, 20, 30, 40, 45]
    assert recorder.of("evaluate") == [7, 30, 45]
    assert recorder.of("save") == [7, 30, 45]
    kinds = [event[0] for event in recorder.events]
    assert kinds[:3] == ["before_step", "step", "progress"]
    place = recorder.events.index(("evaluate", 7))
    assert kinds[place - 1 : place + 2] == ["log", "evaluate", "save"]


def test_the_learning_rate_is_that_of_the_schedule():
    recorder = Recorder()
    loop_of(recorder).run(3, 45)
    rates = [event[2] for event in recorder.events if event[0] == "step"]
    assert rates == [SCHEDULE.rate_at(step) for step in range(3, 45)]
    logged = {event[1]: event[2] for event in recorder.events if event[0] == "log"}
    assert logged[20] == SCHEDULE.rate_at(19)


def test_saves_in_between_when_the_time_has_passed(monkeypatch: pytest.MonkeyPatch):
    seconds = itertools.count(0, 10)  # of every look at the clock
    recorder = Recorder()
    loop = loop_of(recorder, hooks={"save_seconds": 150.0})
    monkeypatch.setattr(time, "monotonic", lambda: float(next(seconds)))
    loop.run(0, 30)
    saves = recorder.of("save")
    assert {7, 30} < set(saves)
    assert 3 < len(saves) < 15


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_a_loss_that_is_not_finite_stops_it(bad: float):
    recorder = Recorder(iter([(1.0, 1.0), (1.0, 1.0), (bad, bad)]))
    with pytest.raises(TrainingError) as caught:
        loop_of(recorder).run(10, 45)
    assert str(caught.value) == (
        f"step 13: cls_loss is {bad}, the gradient's norm is {bad}; do something"
    )
    assert recorder.of("progress") == [11, 12]
    assert recorder.of("save") == []


def test_an_infinite_gradient_stops_it_though_every_loss_is_finite():
    recorder = Recorder(iter([(1.0, 1.0), (1.0, math.inf)]))
    with pytest.raises(TrainingError, match=r"^step 2: the gradient's norm is inf; do something$"):
        loop_of(recorder).run(0, 45)


def test_a_loop_that_goes_on_logs_the_means_of_the_whole_window(tmp_path: Path):
    from edge_retina.training.loss_window import LossWindow
    from edge_retina.training.metrics_log import MetricsLog

    losses = [float(number) for number in range(40)]

    def train(path: Path, parts: list[tuple[int, int]]) -> list[dict[str, Any]]:
        window = LossWindow()
        for first, last in parts:
            metrics = MetricsLog(path, first_step=first)
            recorder = Recorder((loss, 1.0) for loss in losses[first:])
            loop = loop_of(recorder, metrics=metrics, window=window)
            if last < 40:  # cut short: the exception comes where no log line is due
                recorder._results = iter([*((x, 1.0) for x in losses[first:last]), (math.nan, 1.0)])
                with pytest.raises(TrainingError):
                    loop.run(first, 40)
            else:
                loop.run(first, last)
            metrics.close()
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        return [{k: v for k, v in line.items() if k != "images_per_second"} for line in lines]

    whole = train(tmp_path / "whole.jsonl", [(0, 40)])
    assert train(tmp_path / "parts.jsonl", [(0, 13), (13, 26), (26, 40)]) == whole
    assert [line["step"] for line in whole] == [1, 7, 20, 30, 40]
    assert whole[2]["cls_loss"] == sum(range(7, 20)) / 13
