"""What a search varies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_retina.config import PRESET_DIR, load_config, read_toml
from edge_retina.errors import ConfigError

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

DEFAULT_SPACE = PRESET_DIR / "search_space.toml"
_FIELDS = {"low", "high", "log", "choices"}


@dataclass(frozen=True)
class Parameter:
    """One config field that is varied.

    Attributes:
        key: the field, such as "train.learning_rate".
        low, high: its range, if it is a number.
        log: whether the scale is logarithmic.
        choices: its values, if it isn't.
    """

    key: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[Any, ...] = ()

    def suggest(self, trial: BaseTrial) -> Any:
        """Return a value for a trial of Optuna."""
        if self.choices:
            return trial.suggest_categorical(self.key, self.choices)
        return trial.suggest_float(self.key, self.low, self.high, log=self.log)


def read_space(path: Path) -> tuple[Parameter, ...]:
    """Read a search space.

    Raises:
        ConfigError: not of the form that presets/search_space.toml explains, or a value that the
            config doesn't allow.
    """
    space = tuple(_parameter(path, key, entry) for key, entry in read_toml(path).items())
    if not space:
        raise ConfigError(f"{path}: names no field to vary")
    for parameter in space:
        for value in parameter.choices or (parameter.low, parameter.high):
            load_config(overrides=[setting(parameter.key, value)])
    return space


def _parameter(path: Path, key: str, entry: Any) -> Parameter:
    form = "expected low and high (and log = true), or choices = [...]"
    if not isinstance(entry, Mapping) or set(entry) - _FIELDS:
        raise ConfigError(f'{path}: ["{key}"]: {form}, got {entry!r}')
    choices = entry.get("choices")
    if choices is not None:
        if not isinstance(choices, list) or len(choices) < 2 or len(entry) > 1:
            raise ConfigError(f'{path}: ["{key}"]: {form}; choices need two values or more')
        return Parameter(key, choices=tuple(choices))
    low, high = (_number(entry.get(name)) for name in ("low", "high"))
    log = bool(entry.get("log", False))
    if low is None or high is None or low >= high or (log and low <= 0):
        raise ConfigError(f'{path}: ["{key}"]: {form}; low is below high, and above 0 with log')
    return Parameter(key, low, high, log)


def _number(value: Any) -> float | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number else None


def setting(key: str, value: Any) -> str:
    """Return an override `section.field=value`."""
    return f"{key}={json.dumps(value)}"


def settings_of(params: Mapping[str, Any]) -> list[str]:
    """Return the overrides of a trial; an augmentation level comes before single fields."""
    ordered = sorted(params.items(), key=lambda item: item[0] != "augmentation.level")
    return [setting(key, value) for key, value in ordered]
