"""The search: what is varied, who goes on, what survives a kill, and what the verdict rests on."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import event
from sqlalchemy.engine import Engine

from edge_retina.cli.main import main
from edge_retina.config import load_config
from edge_retina.errors import ConfigError, TrainingError
from edge_retina.files import write_text
from edge_retina.run_directory import RunDirectory
from edge_retina.workflow.prepare import read_data
from edge_retina.workflow.tuning import study as study_module
from edge_retina.workflow.tuning import verdict as verdict_module
from edge_retina.workflow.tuning.halving import goes_on, rungs
from edge_retina.workflow.tuning.space import DEFAULT_SPACE, Parameter, read_space, settings_of
from edge_retina.workflow.tuning.study import DEFAULTS, Search, claim, noise, open_study
from edge_retina.workflow.tuning.verdict import SEEDS, Finalist, winner
from tests.doctor.made import VocSet


@pytest.fixture(autouse=True)
def _no_waiting_in_sqlite() -> Iterator[None]:
    """Let SQLite leave out what matters only when a machine goes down."""

    def be_quick(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA synchronous = OFF")

    event.listen(Engine, "connect", be_quick)
    yield
    event.remove(Engine, "connect", be_quick)


def test_rungs_are_thirds() -> None:
    assert rungs(2700) == (300, 900, 2700)
    assert rungs(27) == (3, 9, 27)


@pytest.mark.parametrize(
    "value, others, expected",
    [
        (0.1, [], True),
        (0.1, [0.5], True),  # too few to tell
        (0.1, [0.5, 0.6], False),
        (0.7, [0.5, 0.6], True),
        (0.5, [0.1, 0.2, 0.3, 0.4, 0.6], True),  # second of six
        (0.4, [0.1, 0.2, 0.3, 0.5, 0.6], False),
        (0.6, [0.6, 0.6], True),
    ],
)
def test_one_of_three_goes_on(value: float, others: list[float], expected: bool) -> None:
    assert goes_on(value, others) is expected


def test_the_default_space_is_allowed_by_the_config() -> None:
    space = read_space(DEFAULT_SPACE)
    assert Parameter("train.learning_rate", 0.001, 0.02, True) in space
    assert "augmentation.level" in {parameter.key for parameter in space}


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "names no field to vary"),
        ('["train.learning_rate"]\nlow = 1', "expected low and high"),
        ('["train.learning_rate"]\nlow = 2\nhigh = 1', "low is below high"),
        ('["loss.box_weight"]\nlow = 0\nhigh = 1\nlog = true', "above 0 with log"),
        ('["matching.assigner"]\nchoices = ["atss"]', "choices need two values"),
        ('["matching.assigner"]\nchoices = ["atss", "best"]', "best"),
        ('["train.speed"]\nlow = 1\nhigh = 2', "train.speed"),
    ],
)
def test_a_space_that_can_not_be(tmp_path: Path, text: str, message: str) -> None:
    write_text(tmp_path / "space.toml", text)
    with pytest.raises(ConfigError, match=message):
        read_space(tmp_path / "space.toml")


def test_a_level_comes_before_the_fields_that_it_sets() -> None:
    settings = settings_of({"augmentation.mosaic": 0.5, "augmentation.level": "light"})
    assert settings == ['augmentation.level="light"', "augmentation.mosaic=0.5"]
    assert load_config(overrides=settings).augmentation.mosaic == 0.5


def test_the_noise_is_that_of_the_seeds() -> None:
    assert noise([0.5]) == 0
    assert noise([0.5, 0.52, 0.54]) == pytest.approx(0.02)


def test_only_what_is_beyond_noise_wins() -> None:
    defaults = Finalist("defaults", {}, (0.5, 0.5))
    lucky = Finalist("trial-5", {"x": 1}, (0.6, 0.6), gain=0.1, error=0.1, is_better=False)
    sound = Finalist("trial-7", {"x": 2}, (0.55, 0.55), gain=0.05, error=0.01, is_better=True)
    assert winner([defaults, lucky]) is defaults
    assert winner([defaults, lucky, sound]) is sound
    poor = Finalist("trial-9", {"x": 3}, (0.4, 0.4), gain=-0.1, error=0.01, is_worse=True)
    assert [item.verdict for item in (lucky, sound, poor)] == [
        "not distinguishable",
        "better",
        "worse",
    ]


# The search itself, with stand-ins for trainings: the mAP is highest at a learning rate of 0.004.

SPACE = '["train.learning_rate"]\nlow = 0.001\nhigh = 0.02\nlog = true\n'


class Killed(BaseException):
    """As if the process ended here."""


class Trainings:
    """What was trained: the name of the RUN and how far; `kill_at` ends one half-way."""

    def __init__(self, *, gain: float = 0.3) -> None:
        self.done: list[tuple[str, int]] = []
        self.gain = gain
        self.finals: dict[str, dict[str, float]] = {}  # mAP by name and seed
        self.kill_at: tuple[str, int] | None = None

    def __call__(
        self,
        config: Any,
        search: Any,
        run: Any,
        *,
        evaluation_steps: Any = (),
        observe: Any = None,
    ) -> float:
        rate, seed = config.train.learning_rate, config.seed
        distance = abs(np.log(rate / 0.004))
        value = 0.5 + self.gain * (0.41 - distance) + 0.001 * (seed % 3)
        for step in evaluation_steps or (config.train.steps,):
            run.root.mkdir(parents=True, exist_ok=True)
            self.done.append((run.root.name, step))
            if self.kill_at == (run.root.name, step):
                self.kill_at = None
                raise Killed
            if observe is not None:
                observe(step, value * step / config.train.steps)
        if run.root.name.startswith("final-"):
            name, _, number = run.root.name.removeprefix("final-").rpartition("-")
            self.finals.setdefault(name, {})[number] = float(value)
        return float(value)


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> Trainings:
    made = Trainings()
    monkeypatch.setattr(study_module, "train_measured", made)

    def measure(search: Any, name: str) -> Any:
        values = [made.finals[name][str(seed)] for seed in SEEDS]
        return tuple(values), values

    monkeypatch.setattr(verdict_module, "train_measured", made)
    monkeypatch.setattr(verdict_module, "_measure", measure)
    monkeypatch.setattr(
        verdict_module, "resampled_difference", lambda one, other: (one - other, 0.01)
    )
    return made


@pytest.fixture
def data(tmp_path: Path) -> Path:
    voc = VocSet(tmp_path / "data")
    voc.add_sound(4)
    voc.add_sound(3, split="val", first=4)
    voc.add_sound(1, split="test", first=7)
    write_text(tmp_path / "space.toml", SPACE)
    return voc.root


def tune(data: Path, *args: object) -> Result:
    space = data.parent / "space.toml"
    options = ("--out", data.parent / "out", "--space", space, "--steps", 27, *args)
    return CliRunner().invoke(main, ["tune", str(data), *map(str, options)])


def found(data: Path, *args: object) -> Any:
    file = data.parent / "found.json"
    result = tune(data, "--json", file, *args)
    assert result.exit_code == 0, result.output
    return json.loads(file.read_text())


def test_better_settings_are_found_and_written(
    data: Path, trainings: Trainings, tmp_path: Path
) -> None:
    config, page = tmp_path / "better.toml", tmp_path / "page.html"
    tree = found(data, "--trials", 24, "--write-config", config, "--html", page)
    assert len(tree["defaults"]) == DEFAULTS
    assert tree["noise"] == pytest.approx(0.001)
    states = [trial["state"] for trial in tree["trials"]]
    assert len(states) == 24
    shown = (
        CliRunner()
        .invoke(
            main,
            [
                *("tune", str(data), "--out", str(data.parent / "out"), "--steps", "27"),
                *("--space", str(data.parent / "space.toml"), "--trials", "24"),
            ],
        )
        .output
    )
    table = shown.split("Trials that came to the end, best first\n")[1].split("\n\n")[0]
    assert len(table.splitlines()) - 1 == states.count("complete") - DEFAULTS
    assert states[:DEFAULTS] == ["complete"] * DEFAULTS
    assert states.count("pruned") > states.count("complete") - DEFAULTS
    assert all(list(t["mAP"]) == ["3"] or t["mAP"].keys() >= {"3", "9"} for t in tree["trials"])
    rate = tree["finalists"][1]["params"]["train.learning_rate"]
    assert 0.003 < rate < 0.0053
    assert tree["verdict"].startswith("use trial-")
    text = config.read_text()
    assert text.startswith("# edge-retina tune: use trial-")
    assert load_config(config).train.learning_rate == pytest.approx(rate)
    assert "mAP on the validation split" in page.read_text()


def test_the_defaults_are_kept_if_nothing_is_better(
    data: Path, trainings: Trainings, tmp_path: Path
) -> None:
    trainings.gain = 0.0
    config = tmp_path / "better.toml"
    tree = found(data, "--trials", 12, "--write-config", config)
    assert tree["verdict"] == ("keep the settings as they are: no finalist is better beyond noise")
    assert load_config(config) == load_config()


def test_a_killed_trial_goes_on_and_nothing_is_done_twice(data: Path, trainings: Trainings) -> None:
    trainings.kill_at = ("trial-4", 3)
    with pytest.raises(Killed):
        CliRunner().invoke(
            main,
            [
                *("tune", str(data), "--out", str(data.parent / "out"), "--steps", "27"),
                *("--space", str(data.parent / "space.toml"), "--trials", "8"),
            ],
            catch_exceptions=False,
        )
    before = list(trainings.done)
    tree = found(data, "--trials", 8)
    again = trainings.done[len(before) :]
    assert again[0] == ("trial-4", 3), "it goes on in its own directory"
    names = {name for name, _ in before} & {name for name, _ in again}
    assert names == {"trial-4"}
    killed, revived = (
        next(t for t in tree["trials"] if t["number"] == number) for number in (4, 5)
    )
    assert killed["state"] == "fail"
    assert revived["params"] == killed["params"]


def test_a_finished_search_is_only_told_again(data: Path, trainings: Trainings) -> None:
    first = found(data, "--trials", 6)
    done = [name for name, _ in trainings.done if not name.startswith("final")]
    second = found(data, "--trials", 6)
    assert [name for name, _ in trainings.done if not name.startswith("final")] == done
    assert second["trials"] == first["trials"]


@pytest.fixture
def search(data: Path, tmp_path: Path) -> Search:
    overrides = (f"data.path={json.dumps(str(data))}",)
    config = load_config(overrides=overrides)
    space = read_space(DEFAULT_SPACE)
    return Search((None, overrides), config, space, read_data(config), tmp_path / "tuning", 27)


def test_processes_that_start_at_the_same_moment_measure_the_noise_once(search: Search) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: open_study(search), range(8)))
    assert len(open_study(search).get_trials()) == DEFAULTS


def test_each_process_draws_settings_of_its_own(search: Search) -> None:
    drawn = []
    for _ in range(2):
        study = open_study(search)
        for _ in range(DEFAULTS):
            study.ask()  # those that are enqueued
        drawn.append(study.ask().suggest_float("x", 0, 1))
    assert drawn[0] != drawn[1]


def test_the_time_before_an_interruption_counts(
    data: Path, trainings: Trainings, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]

    class Clock:
        def monotonic(self) -> float:
            now[0] += 600.0
            return now[0]

        def sleep(self, seconds: float) -> None:
            raise AssertionError("there is nothing to wait for")

    monkeypatch.setattr(study_module, "time", Clock())
    first = found(data, "--hours", 1)
    assert len(first["trials"]) == 5  # ten minutes each
    assert found(data, "--hours", 1)["trials"] == first["trials"]
    assert len(found(data, "--hours", 2)["trials"]) > len(first["trials"])


def test_processes_share_the_finalists(
    data: Path, trainings: Trainings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One is trained by another process, whose lock is gone at the second look."""
    found(data, "--trials", 6, "--no-finalists")
    other = RunDirectory(data.parent / "out" / "final-defaults-101")
    with contextlib.ExitStack() as stack:
        assert stack.enter_context(claim(other))

        def sleep(seconds: float) -> None:
            assert [name for name, _ in trainings.done[6:] if name == other.root.name] == []
            stack.close()

        monkeypatch.setattr("edge_retina.workflow.tuning.verdict.time.sleep", sleep)
        tree = found(data, "--trials", 6)
    assert tree["finalists"][0]["name"] == "defaults"
    finals = [name for name, _ in trainings.done if name.startswith("final-")]
    assert len(finals) == len(set(finals)) == 2 * len(tree["finalists"])
    assert finals[-1] == other.root.name


def test_another_search_is_refused(data: Path, trainings: Trainings) -> None:
    found(data, "--trials", 4)
    result = tune(data, "--trials", 4, "--set", "train.batch_size=4")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == (
        f"Error: {data.parent / 'out'}: holds a search with other settings, data or steps; restore "
        "them, or give another --out"
    )


def test_a_split_to_compare_on_is_needed(data: Path, trainings: Trainings) -> None:
    result = tune(data, "--set", "data.val_split=")
    assert result.exit_code == 1
    assert "tune needs a validation split" in result.stderr


def test_a_storage_that_can_not_be_opened(data: Path, trainings: Trainings) -> None:
    result = tune(data, "--storage", "nonsense://x")
    assert result.exit_code == 1
    assert "--storage nonsense://x: can't be opened" in result.stderr.splitlines()[-1]


def test_a_failing_trial_does_not_end_the_search(
    data: Path, trainings: Trainings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(config: Any, search: Any, run: Any, **options: Any) -> float:
        if config.train.learning_rate > 0.006:
            raise TrainingError("step 12: the loss is not finite")
        return trainings(config, search, run, **options)

    monkeypatch.setattr(study_module, "train_measured", train)
    tree = found(data, "--trials", 10)
    states = [trial["state"] for trial in tree["trials"]]
    assert "fail" in states
    assert sum(state != "fail" for state in states) == 10
