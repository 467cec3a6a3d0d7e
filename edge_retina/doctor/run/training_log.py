"""The figures that a training left in metrics.jsonl."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_retina.report.metrics_log import read_records

_PEAK = 0.5  # of the highest learning rate: where steps are largest
_SMOOTHED = 5  # log lines that a loss is averaged over: a hundred steps


@dataclass(frozen=True)
class TrainingLog:
    """A metrics.jsonl, in the order of steps.

    Attributes:
        steps: the lines that have a loss.
        evaluations: the lines that have a mAP or a probe.
        warnings: about the file.
    """

    steps: tuple[dict[str, Any], ...]
    evaluations: tuple[dict[str, Any], ...]
    warnings: tuple[str, ...] = ()

    def values(self, name: str) -> np.ndarray:
        """Return a figure of every line with a loss, NaN where it is missing."""
        return np.array([_number(record.get(name)) for record in self.steps], float)

    def has(self, name: str) -> bool:
        """Whether any line with a loss has a figure."""
        return bool(np.isfinite(self.values(name)).any())

    def at_peak(self, name: str) -> float:
        """Return the median of a figure while the learning rate is high; NaN if there is none."""
        rates = self.values("learning_rate")
        if not np.isfinite(rates).any():
            return math.nan
        chosen = self.values(name)[rates >= _PEAK * np.nanmax(rates)]
        return _median(chosen)

    def largest(self, name: str) -> float:
        """Return the largest value of a figure; NaN if there is none."""
        values = self.values(name)
        return float(np.nanmax(values)) if np.isfinite(values).any() else math.nan

    def at_end(self, name: str) -> float:
        """Return the mean of a figure over the last lines."""
        return _mean(self.values(name)[-_SMOOTHED:])

    def at_start(self, name: str) -> float:
        """Return the first value of a figure."""
        known = self.values(name)
        known = known[np.isfinite(known)]
        return float(known[0]) if len(known) else math.nan

    @property
    def last_probe(self) -> dict[str, dict[str, float]]:
        """The losses on fixed images at the last evaluation; empty if there are none."""
        found = [record["probe"] for record in self.evaluations if "probe" in record]
        return found[-1] if found else {}


def read_training_log(path: Path) -> TrainingLog:
    """Read a metrics.jsonl; of a step that was done twice the later line counts.

    Raises:
        RunError: no such file, or a line that isn't of the format.
    """
    records, warnings = read_records(path)
    return TrainingLog(
        _last_of_each_step(record for record in records if "loss" in record),
        _last_of_each_step(record for record in records if {"mAP", "probe"} & record.keys()),
        warnings,
    )


def _last_of_each_step(records: Any) -> tuple[dict[str, Any], ...]:
    found = {record["step"]: record for record in records}
    return tuple(found[step] for step in sorted(found))


def _number(value: Any) -> float:
    try:
        return float(value) if isinstance(value, (int, float)) else math.nan
    except OverflowError:  # an integer of hundreds of digits
        return math.nan


def _mean(values: Sequence[float] | np.ndarray) -> float:
    known = np.asarray(values)[np.isfinite(values)]
    return float(known.mean()) if len(known) else math.nan


def _median(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else math.nan
