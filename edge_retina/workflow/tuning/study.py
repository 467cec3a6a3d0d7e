"""The search: an Optuna study whose trials are trainings that can be stopped and resumed."""

from __future__ import annotations

import dataclasses
import fcntl
import logging
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_retina.config import Config, load_config
from edge_retina.datasets import annotations_sha256
from edge_retina.errors import ConfigError, RunError, TrainingError, first_line
from edge_retina.files import sha256_json
from edge_retina.report.metrics_log import read_records
from edge_retina.run_directory import RunDirectory
from edge_retina.workflow.context import PreparedData
from edge_retina.workflow.side_training import is_trained, train_beside
from edge_retina.workflow.tuning.halving import goes_on, rungs
from edge_retina.workflow.tuning.space import Parameter, settings_of

if TYPE_CHECKING:
    import optuna

log = logging.getLogger(__name__)

_NAME = "edge-retina"
DEFAULTS = 3  # trainings of the unchanged settings, by seed: they measure the noise
_STARTUP = 8  # random trials before the sampler looks at what was found
_RUN, _SEED = "run", "seed"  # user attributes of a trial
_SECONDS = "seconds"  # user attribute of the study: how long it was searched
POLL_SECONDS = 5.0
_OPENINGS = "openings"  # user attribute of the study: how often it was opened
# Trials are compared before their end, so their learning rate must not depend on it.
_CONSTANT = ("train.final_learning_rate=1", "train.plain_steps=0", "train.backbone_warmup=0")


@dataclass(frozen=True)
class Search:
    """What is searched, and where it is kept.

    Attributes:
        source: overrides and file that every trial starts from; see `config_of`.
        config: the unchanged config.
        space: what is varied.
        data: its data set, with a validation split.
        out: directory for the trainings.
        steps: of a trial that is not stopped.
    """

    source: tuple[Path | None, tuple[str, ...]]
    config: Config
    space: tuple[Parameter, ...]
    data: PreparedData
    out: Path
    steps: int

    @property
    def rungs(self) -> tuple[int, ...]:
        """Steps at which trials are compared."""
        return rungs(self.steps)

    def config_of(self, settings: Sequence[str], *, steps: int, seed: int) -> Config:
        """Return the config with some settings, for a training of its own length."""
        path, overrides = self.source
        return load_config(
            path,
            overrides=[
                *overrides,
                f"train.steps={steps}",
                "train.eval_every_epochs=100000",
                "train.probe_images=0",
                "train.tensorboard=false",
                *settings,
                f"seed={self.config.seed + seed}",
            ],
        )

    @property
    def fingerprint(self) -> str:
        """Hash of what values of trials depend on, beside their own settings."""
        tree = self.config.to_dict()
        tree.pop("name")
        for section in ("data", "quantize", "export", "metadata"):
            tree.pop(section, None)
        space = [dataclasses.asdict(parameter) for parameter in self.space]
        data = [annotations_sha256(split) for split in (self.data.train, self.data.val)]
        return sha256_json([tree, space, data, self.steps])


def open_study(search: Search, *, storage: str = "") -> optuna.Study:
    """Create the study, or open it to go on.

    Args:
        search: what is searched.
        storage: an URL as Optuna takes it, for processes on several machines; by default a SQLite
            file in `search.out`.

    Raises:
        RunError: the study that is there was begun with other settings or data.
        ConfigError: the storage can't be opened.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    search.out.mkdir(parents=True, exist_ok=True)
    url = storage or f"sqlite:///{search.out.resolve() / 'study.db'}"
    with open(search.out / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two processes may be started at the same moment
        try:
            study = optuna.create_study(
                storage=url,
                study_name=_NAME,
                direction="maximize",
                load_if_exists=True,
            )
        except Exception as error:  # of SQLAlchemy or a database driver: there is no common base
            raise ConfigError(f"--storage {url}: can't be opened ({first_line(error)})") from None
        known = study.user_attrs.get("fingerprint", search.fingerprint)
        if known != search.fingerprint:
            raise RunError(
                f"{search.out}: holds a search with other settings, data or steps; restore them, "
                "or give another --out"
            )
        study.set_user_attr("fingerprint", known)
        # Another sequence for each process, and after each interruption: the same seed would draw
        # the same settings again.
        openings = study.user_attrs.get(_OPENINGS, 0)
        study.set_user_attr(_OPENINGS, openings + 1)
        study.sampler = optuna.samplers.TPESampler(
            n_startup_trials=DEFAULTS + _STARTUP, seed=search.config.seed + openings
        )
        seeds = {trial.user_attrs.get(_SEED) for trial in study.get_trials(deepcopy=False)}
        for seed in sorted(set(range(DEFAULTS)) - seeds):
            study.enqueue_trial({}, user_attrs={_SEED: seed})
    return study


def run_trials(search: Search, study: optuna.Study, *, hours: float, most: int) -> None:
    """Train trials until the time is over or there are enough.

    Several processes may do so at once. A trial whose process was killed goes on.

    Args:
        search: what is searched.
        study: its study.
        hours: after which no more trials are begun; those before an interruption count.
        most: trials of all processes together, those with the unchanged settings among them.
    """
    import optuna

    before, began = study.user_attrs.get(_SECONDS, 0.0), time.monotonic()
    while (spent := before + time.monotonic() - began) < 3600 * hours:
        # Processes that run at the same time spend the same hour.
        study.set_user_attr(_SECONDS, max(spent, study.user_attrs.get(_SECONDS, 0.0)))
        revive(search, study)
        if len(study.get_trials(deepcopy=False, states=_counted(optuna))) >= most:
            break
        trial = study.ask()
        run = _run_of(search, trial)
        trial.set_user_attr(_RUN, run.root.name)
        with claim(run) as free:
            if free:
                _run_trial(search, study, trial, run)
    else:
        study.set_user_attr(_SECONDS, max(spent, study.user_attrs.get(_SECONDS, 0.0)))


def wait_for_trials(search: Search, study: optuna.Study) -> None:
    """Wait until other processes of this machine have ended their trials."""
    import optuna

    def is_claimed(trial: optuna.trial.FrozenTrial) -> bool:
        run = _run_of(search, trial)
        if not run.root.is_dir():
            return False
        with claim(run) as free:
            return not free

    running, is_told = [optuna.trial.TrialState.RUNNING], False
    while any(is_claimed(trial) for trial in study.get_trials(deepcopy=False, states=running)):
        if not is_told:
            log.info("waiting for the trials of other processes")
        is_told = True
        time.sleep(POLL_SECONDS)


def revive(search: Search, study: optuna.Study) -> None:
    """Enqueue the trials again that a killed process of this machine left."""
    import optuna

    running = study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.RUNNING])
    for trial in running:
        run = _run_of(search, trial)
        if not run.root.is_dir():
            continue  # begun elsewhere, or this moment
        with claim(run) as free:
            if free:
                log.info("trial %d goes on: its process has ended", trial.number)
                study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
                study.enqueue_trial(
                    trial.params, user_attrs={**trial.user_attrs, _RUN: run.root.name}
                )


@contextmanager
def claim(run: RunDirectory) -> Iterator[bool]:
    """Hold a trial's directory while it is trained; False if another process does."""
    run.root.mkdir(parents=True, exist_ok=True)
    with open(run.root / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _run_trial(search: Search, study: optuna.Study, trial: optuna.Trial, run: RunDirectory) -> None:
    import optuna

    seed = trial.user_attrs.get(_SEED)
    is_default = seed is not None
    params = {} if is_default else {p.key: p.suggest(trial) for p in search.space}
    log.info("trial %d: %s", trial.number, _told(params))
    config = search.config_of(
        [*_CONSTANT, *settings_of(params)], steps=search.steps, seed=seed or 0
    )

    def observe(step: int, value: float) -> None:
        trial.report(value, step)
        if is_default or step == search.steps:
            return
        others = [
            other.intermediate_values[step]
            for other in study.get_trials(deepcopy=False)
            if other.number != trial.number and step in other.intermediate_values
        ]
        if not goes_on(value, others):
            raise _Stopped

    try:
        value = train_measured(config, search, run, evaluation_steps=search.rungs, observe=observe)
    except _Stopped:
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        log.info("trial %d: stopped", trial.number)
    except TrainingError as error:
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
        log.warning("trial %d: failed: %s", trial.number, error)
    else:
        study.tell(trial, value)
        log.info("trial %d: mAP %.3f", trial.number, value)


class _Stopped(Exception):  # noqa: N818  - not an error
    """The trial doesn't go on."""


def train_measured(
    config: Config,
    search: Search,
    run: RunDirectory,
    *,
    evaluation_steps: Sequence[int] = (),
    observe: Any = None,
) -> float:
    """Train, or go on, and return the mAP of the last weights on the validation split.

    Raises:
        TrainingError: a loss or the gradient is not finite.
    """
    from edge_retina.model.keras import keras

    if not is_trained(run):
        if observe is not None:
            for step, value in measured(run):  # before it was killed
                observe(step, value)
        try:
            train_beside(
                config,
                run,
                labels=search.data.dataset.labels,
                train=search.data.train,
                val=search.data.val,
                evaluation_steps=evaluation_steps,
                on_evaluation=observe,
            )
        finally:
            keras.backend.clear_session()
    return measured(run)[-1][1]


def measured(run: RunDirectory) -> list[tuple[int, float]]:
    """Return steps and mAP of the evaluations in a RUN's log; empty if there are none."""
    if not run.metrics_file.is_file():
        return []
    records, _ = read_records(run.metrics_file)
    return [(record["step"], record["mAP"]) for record in records if "mAP" in record]


def default_values(study: optuna.Study) -> list[float]:
    """Return the mAP of the unchanged settings, by seed."""
    found = [t for t in study.trials if _SEED in t.user_attrs and is_complete(t)]
    return [float(t.value) for t in found if t.value is not None]


def noise(values: Sequence[float]) -> float:
    """Return the standard deviation between seeds; 0 of fewer than two."""
    return statistics.stdev(values) if len(values) > 1 else 0.0


def searched(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """Return the trials of changed settings that came to the end, best first."""
    found = [t for t in study.trials if _SEED not in t.user_attrs and is_complete(t)]
    return sorted(found, key=lambda trial: -float(trial.value or 0))


def is_complete(trial: optuna.trial.FrozenTrial) -> bool:
    """Whether a trial came to its end; a stopped one has the value of an earlier step."""
    return trial.state.name == "COMPLETE"


def _run_of(search: Search, trial: optuna.Trial | optuna.trial.FrozenTrial) -> RunDirectory:
    return RunDirectory(search.out / str(trial.user_attrs.get(_RUN, f"trial-{trial.number}")))


def _counted(optuna_module: Any) -> list[Any]:
    states = optuna_module.trial.TrialState
    return [states.COMPLETE, states.PRUNED, states.RUNNING]


def _told(params: dict[str, Any]) -> str:
    if not params:
        return "the settings as they are"
    return ", ".join(
        f"{key} = {value:.3g}" if isinstance(value, float) else f"{key} = {value}"
        for key, value in params.items()
    )
