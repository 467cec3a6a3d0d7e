"""What a search gave: text, a config with its reasons, and a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from edge_retina.report.charts import BarGroup, Series, bar_chart, line_chart
from edge_retina.report.pages import render_template
from edge_retina.report.tables import MISSING, Column, Figure, Table, score
from edge_retina.workflow.tuning.space import setting
from edge_retina.workflow.tuning.study import (
    Search,
    default_values,
    is_complete,
    noise,
    searched,
)
from edge_retina.workflow.tuning.verdict import Finalist, winner

if TYPE_CHECKING:
    import optuna

_FEWEST_TRIALS = 20  # of fewer no importance is told
_SHOWN = 12


@dataclass(frozen=True)
class TuningResult:
    """A search and its verdict.

    Attributes:
        search: what was searched.
        study: its trials.
        finalists: the unchanged settings first; empty if they were not trained.
    """

    search: Search
    study: optuna.Study
    finalists: tuple[Finalist, ...]

    @property
    def verdict(self) -> str:
        """The conclusion in a sentence."""
        if not self.finalists:
            return "no verdict: finalists were not trained"
        best = winner(self.finalists)
        if best.name == "defaults":
            return "keep the settings as they are: no finalist is better beyond noise"
        return (
            f"use {best.name}: {100 * best.gain:+.1f} points of mAP on new seeds, "
            f"standard error {100 * best.error:.1f}"
        )

    @property
    def importances(self) -> dict[str, float]:
        """How much of the differences each field explains; empty if there are too few trials.

        At the first rung, which all trials reach; few come to the end.
        """
        import optuna

        first = self.search.rungs[0]
        values = {
            trial.number: trial.intermediate_values[first]
            for trial in self.study.trials
            if trial.params and first in trial.intermediate_values
        }
        if len(values) < _FEWEST_TRIALS:
            return {}
        level = optuna.create_study(direction="maximize")
        for trial in self.study.trials:
            if trial.number in values:
                level.add_trial(
                    optuna.trial.create_trial(
                        params=trial.params,
                        distributions=trial.distributions,
                        value=values[trial.number],
                    )
                )
        evaluator = optuna.importance.PedAnovaImportanceEvaluator()
        found = optuna.importance.get_param_importances(level, evaluator=evaluator)
        return {name: float(value) for name, value in found.items()}

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts and lists for JSON."""
        values = default_values(self.study)
        return {
            "schema_version": 1,
            "steps": self.search.steps,
            "rungs": list(self.search.rungs),
            "defaults": values,
            "noise": noise(values),
            "trials": [
                {
                    "number": trial.number,
                    "state": trial.state.name.lower(),
                    "params": trial.params,
                    "mAP": {str(step): value for step, value in trial.intermediate_values.items()},
                }
                for trial in self.study.trials
            ],
            "importances": self.importances,
            "finalists": [
                {**vars(item), "params": dict(item.params), "mean": item.mean}
                for item in self.finalists
            ],
            "verdict": self.verdict,
        }

    def config_text(self) -> str:
        """Return the best settings as a config file, with the reasons as comments."""
        lines = [f"# edge-retina tune: {self.verdict}"]
        best = winner(self.finalists) if self.finalists else None
        values = default_values(self.study)
        if values:
            lines.append(
                f"# mAP of the unchanged settings in {self.search.steps} steps: "
                f"{fmean(values):.3f}, standard deviation between seeds {noise(values):.3f}"
            )
        importances = self.importances
        sections: dict[str, list[str]] = {}
        for key, value in (best.params if best else {}).items():
            section, _, name = key.rpartition(".")
            explained = importances.get(key)
            first = self.search.rungs[0]
            told = f"  # explains {explained or 0:.0%} of the differences after {first} steps"
            reason = told if explained else ""
            sections.setdefault(section, []).append(
                setting(name, value).replace("=", " = ", 1) + reason
            )
        for section, settings in sections.items():
            lines += ["", *([f"[{section}]"] if section else []), *settings]
        return "\n".join(lines) + "\n"

    def blocks(self) -> list[str | Table]:
        """Return texts and tables for a terminal."""
        values = default_values(self.study)
        states = [trial.state.name.lower() for trial in self.study.trials]
        counts = ", ".join(f"{states.count(name)} {name}" for name in sorted(set(states)))
        blocks: list[str | Table] = [f"{len(states)} trials: {counts}"]
        if values:
            blocks.append(
                f"Settings as they are: mAP {fmean(values):.3f}, standard deviation between "
                f"{len(values)} seeds {noise(values):.3f}"
            )
        blocks.append(_trials_table(searched(self.study)[:_SHOWN]))
        if self.finalists:
            blocks.append(_finalists_table(self.finalists))
        blocks.append(f"Verdict: {self.verdict}")
        return blocks

    def page(self) -> str:
        """Return an HTML page with history, importances and the band of the noise."""
        values = default_values(self.study)
        low, high = (fmean(values) + side * noise(values) for side in (-2, 2)) if values else (0, 0)
        best, history = 0.0, []
        found = []
        for trial in self.study.trials:
            if is_complete(trial) and trial.value is not None:
                best = max(best, trial.value)
                history.append((float(trial.number), best))
                found.append((float(trial.number), float(trial.value)))
        last = max((trial.number for trial in self.study.trials), default=0)
        series = [Series("best so far", tuple(history)), Series("trial", tuple(found))]
        if values:
            series += [
                Series("unchanged settings - 2 deviations", ((0.0, low), (float(last), low))),
                Series("unchanged settings + 2 deviations", ((0.0, high), (float(last), high))),
            ]
        importances = self.importances
        groups = [BarGroup(name, (value,)) for name, value in importances.items()]
        return render_template(
            "tune.html.j2",
            title=f"{self.search.config.name}: tuning",
            window_title=f"{self.search.config.name}: tuning",
            subtitle=f"{len(self.study.trials)} trials of up to {self.search.steps} steps.",
            headline=_headline(self, values),
            verdict=self.verdict,
            finalists=_finalists_table(self.finalists) if self.finalists else None,
            history=line_chart("mAP on the validation split", series, x_label="trial")
            if history
            else None,
            importances=bar_chart(
                f"Importance after {self.search.rungs[0]} steps",
                groups,
                ["share"],
                value_format=".2f",
            )
            if groups
            else None,
            trials=_trials_table(searched(self.study)),
        )


def _headline(result: TuningResult, values: Sequence[float]) -> list[Figure]:
    items = []
    if values:
        note = f"± {noise(values):.3f} between {len(values)} seeds"
        items.append(Figure("unchanged settings", score(fmean(values)), note))
    best = searched(result.study)[:1]
    if best:
        items.append(Figure("best trial", score(best[0].value), "lucky: the best of many"))
    if result.finalists:
        item = winner(result.finalists)
        items.append(Figure("on new seeds", score(item.mean), item.name))
    return items


def _trials_table(trials: Sequence[optuna.trial.FrozenTrial]) -> Table:
    keys = sorted({key for trial in trials for key in trial.params})
    columns = (Column("trial"), Column("mAP"), *(Column(key.rpartition(".")[2]) for key in keys))
    rows = [
        (
            str(trial.number),
            score(trial.value),
            *(_value_text(trial.params.get(key)) for key in keys),
        )
        for trial in trials
    ]
    return Table(columns, rows, title="Trials that came to the end, best first")


def _finalists_table(finalists: Sequence[Finalist]) -> Table:
    columns = (
        Column("settings", text=True),
        Column("mAP by seed"),
        Column("points gained"),
        Column("standard error"),
        Column("verdict", text=True),
    )
    rows = [
        (
            item.name,
            ", ".join(f"{value:.3f}" for value in item.values),
            f"{100 * item.gain:+.1f}" if item.params else "",
            f"{100 * item.error:.1f}" if item.params else "",
            item.verdict if item.params else "",
        )
        for item in finalists
    ]
    return Table(columns, rows, title="Finalists, trained again with new seeds")


def _value_text(value: Any) -> str:
    if value is None:
        return MISSING
    return f"{value:.3g}" if isinstance(value, float) else str(value)
