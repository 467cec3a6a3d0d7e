"""Whether the best settings of a search are better than the unchanged ones, on new seeds."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean
from typing import TYPE_CHECKING, Any

from edge_retina.evaluation.evaluator import evaluate
from edge_retina.evaluation.matches import Matches, find_matches
from edge_retina.evaluation.significance import resampled_difference
from edge_retina.run_directory import RunDirectory
from edge_retina.workflow.tuning.space import settings_of
from edge_retina.workflow.tuning.study import (
    POLL_SECONDS,
    Search,
    claim,
    default_values,
    noise,
    searched,
    train_measured,
    wait_for_trials,
)

if TYPE_CHECKING:
    import optuna

FINALISTS = 2
SEEDS = (101, 102)  # that no trial has seen
_LEVEL = 0.05


@dataclass(frozen=True)
class Finalist:
    """Settings that were trained again with new seeds.

    Attributes:
        name: "defaults" or "trial-N".
        params: what they change.
        values: mAP by seed.
        gain: mAP above the defaults', mean over seeds and draws of images; 0 of the defaults.
        error: standard error of the gain, by the choice of images and by the seed.
        is_better: whether the gain is beyond noise.
        is_worse: whether the loss is.
    """

    name: str
    params: Mapping[str, Any]
    values: tuple[float, ...]
    gain: float = 0.0
    error: float = 0.0
    is_better: bool = False
    is_worse: bool = False

    @property
    def verdict(self) -> str:
        """How it compares with the unchanged settings."""
        if self.is_better:
            return "better"
        return "worse" if self.is_worse else "not distinguishable"

    @property
    def mean(self) -> float:
        """Mean mAP over the seeds."""
        return fmean(self.values)


def judge_finalists(search: Search, study: optuna.Study) -> list[Finalist]:
    """Train the best settings and the unchanged ones again, and compare them.

    Trainings have the usual schedule here, and seeds that no trial has seen. Those that are
    finished are not done again, and several processes share them. A gain is beyond noise if it
    exceeds z standard errors: of the paired bootstrap over images, and of the spread between seeds
    that the study has measured. z is that of a one-sided test at 5 %, divided by the number of
    finalists (Bonferroni).

    Returns:
        The unchanged settings first, then the finalists, the best of the search first.
    """
    wait_for_trials(search, study)
    candidates = {f"trial-{trial.number}": trial.params for trial in searched(study)[:FINALISTS]}
    _train_all(search, {"defaults": {}, **candidates})
    spread = noise(default_values(study))
    base_values, base = _measure(search, "defaults")
    finalists = [Finalist("defaults", {}, base_values)]
    for name, params in candidates.items():
        values, matches = _measure(search, name)
        pairs = [resampled_difference(*pair) for pair in zip(matches, base, strict=True)]
        gain, over_images = (fmean(column) for column in zip(*pairs, strict=True))
        # A mean over n seeds varies by spread / sqrt(n), a difference of two by sqrt(2) times that.
        error = math.hypot(over_images, spread * math.sqrt(2 / len(SEEDS)))
        z = NormalDist().inv_cdf(1 - _LEVEL / len(candidates))
        least = z * error
        finalists.append(Finalist(name, params, values, gain, error, gain > least, gain < -least))
    return finalists


def winner(finalists: Sequence[Finalist]) -> Finalist:
    """Return the best of those that are better than the defaults; else the defaults."""
    better = [item for item in finalists if item.is_better]
    return max(better, key=lambda item: item.gain) if better else finalists[0]


def _train_all(search: Search, settings: Mapping[str, Mapping[str, Any]]) -> None:
    """Train every finalist with every seed; what another process trains is waited for."""
    left = [(name, seed) for name in settings for seed in SEEDS]
    while left:
        for name, seed in tuple(left):
            config = search.config_of(settings_of(settings[name]), steps=search.steps, seed=seed)
            run = _run_of(search, name, seed)
            with claim(run) as free:
                if free:
                    train_measured(config, search, run)
                    left.remove((name, seed))
        if left:
            time.sleep(POLL_SECONDS)


def _measure(search: Search, name: str) -> tuple[tuple[float, ...], list[Matches]]:
    """Return the mAP and the matches by seed."""
    from edge_retina.model.keras import keras
    from edge_retina.model.predictor import KerasPredictor, load_float_model

    values: list[float] = []
    matches: list[Matches] = []
    examples, labels = search.data.val, search.data.dataset.labels
    for seed in SEEDS:
        run = _run_of(search, name, seed)
        predictor = KerasPredictor(
            load_float_model(run),
            anchors=run.load_anchors(),
            labels=labels,
            export=run.load_config().export,
        )
        metrics, found = evaluate(predictor, examples, labels=labels)
        values.append(metrics.mAP)
        matches.append(find_matches(examples, found, labels))
        keras.backend.clear_session()
    return tuple(values), matches


def _run_of(search: Search, name: str, seed: int) -> RunDirectory:
    return RunDirectory(search.out / f"final-{name}-{seed}")
