"""Plain dicts -> frozen dataclasses, checked: the one reader of every settings file.

A dataclass declares what it accepts. The type of a field says what kind of value it holds; `option`
adds its range, its choices and its help text, all in one place:

    learning_rate: float = option(0.003, "peak, after the warm-up", low=1e-9, high=10)

`read_dataclass` refuses unknown keys (with the nearest valid name), missing keys, wrong types and
values out of range. Messages start with the file and name the key. The errors are those of the
caller's kind: a config raises ConfigError, a manifest ModelError.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from edge_retina.errors import EdgeRetinaError, choices_hint

_MOST_DIGITS = 1e15  # larger numbers are shown rounded
_TOO_LARGE = 10**300  # for a float; JSON and TOML know integers of any length
_MOST_SHOWN = 200  # characters of a value that is refused
_METADATA_KEY = "option"
_TYPE_NAMES: dict[Any, str] = {
    bool: "true or false",
    int: "an integer",
    float: "a number",
    str: "a string",
    dict: "an object",
    list: "a list",
}
_T = TypeVar("_T")


@dataclass(frozen=True)
class Option:
    """What a field accepts beyond its type.

    Attributes:
        help: what the field does, its unit included.
        low, high: the allowed range, both ends included; of every number in a tuple.
        multiple_of: numbers must be a multiple of this.
        choices: the allowed values; empty for all.
        path: "file", "directory" or "either": a path, which is made absolute when it is read;
            "name-or-file": one if it has a directory or a suffix, else a name. "" for everything
            else.
    """

    help: str = ""
    low: float = -math.inf
    high: float = math.inf
    multiple_of: int = 0
    choices: tuple[Any, ...] = ()
    path: str = ""


def option(
    default: Any,
    help_text: str,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    multiple_of: int = 0,
    choices: tuple[Any, ...] = (),
    path: str = "",
) -> Any:
    """Return a dataclass field with its default, explanation and allowed values; see `Option`."""
    rule = Option(help_text, low, high, multiple_of, choices, path)
    return dataclasses.field(default=default, metadata={_METADATA_KEY: rule})


def option_of(field: dataclasses.Field[Any]) -> Option:
    """Return the rule of a dataclass field; one that allows everything if it has none."""
    rule: Option = field.metadata.get(_METADATA_KEY, Option())
    return rule


def iterate_options(cls: type, prefix: str = "") -> Iterator[tuple[str, Option]]:
    """Yield `section.field` and the rule of every field of a dataclass, nested ones included."""
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        if dataclasses.is_dataclass(hints[field.name]):
            yield from iterate_options(hints[field.name], f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", option_of(field)


@dataclass(frozen=True)
class Reader:
    """How one kind of file is read.

    Attributes:
        where: named at the start of every message, as a rule the path of the file.
        origins: another place to name, by key, for values that come from elsewhere.
        error: the class of error to raise.
        remedy: appended to every message; "" for nothing.
        ignore_unknown: leave keys out that the dataclass doesn't have, for documents that newer
            versions may have extended.
    """

    where: str
    error: type[EdgeRetinaError]
    remedy: str = ""
    ignore_unknown: bool = False
    origins: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def read(self, cls: type[_T], tree: Any, *, prefix: str = "") -> _T:
        """Build a dataclass from parsed TOML or JSON.

        Args:
            cls: a dataclass whose fields are bool, int, float, str, tuples of these, dicts, Any, or
                dataclasses.
            tree: what was parsed; should be a dict.
            prefix: of the keys in messages, e.g. "input.".

        Raises:
            EdgeRetinaError: of the kind `error`; names the key, what was got and what is allowed.
        """
        if not isinstance(tree, dict):
            name = prefix.rstrip(".")
            message = f"'{name}' must be a section, got {_shown(tree)}" if name else "not an object"
            raise self.fail(message, key=name)
        hints = typing.get_type_hints(cls)
        fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
        values = {}
        for key, value in tree.items():
            if key in fields:
                values[key] = self._field(fields[key], hints[key], value, prefix)
            elif not self.ignore_unknown:
                hint = choices_hint(str(key), fields)
                raise self.fail(f"unknown key '{prefix}{key}'; {hint}", key=f"{prefix}{key}")
        for name, field in fields.items():
            if name not in values and _is_required(field):
                raise self.fail(f"'{prefix}{name}' is missing")
        return cls(**values)

    def check_present(self, cls: type, tree: Any, *, prefix: str = "", **other: Any) -> None:
        """Refuse values of other types than a dataclass has; leave out what is missing or unknown.

        For documents of which older versions lack fields. What is inside a field must be whole.

        Args:
            cls: a dataclass.
            tree: what was parsed.
            prefix: of the keys in messages.
            other: types of fields that the document writes differently, by name.

        Raises:
            EdgeRetinaError: of the kind `error`.
        """
        self._require(isinstance(tree, dict), dict, tree, prefix.rstrip("."))
        hints = {**typing.get_type_hints(cls), **other}
        for key in hints.keys() & tree.keys():
            self._convert(hints[key], tree[key], f"{prefix}{key}")

    def fail(self, message: str, *, key: str = "") -> EdgeRetinaError:
        """Return the error to raise for `message`, which is about `key`."""
        where = self.origins.get(key, self.where)
        return self.error(f"{where}: {message}" + (f"; {self.remedy}" if self.remedy else ""))

    def _field(self, field: dataclasses.Field[Any], hint: Any, value: Any, prefix: str) -> Any:
        key = f"{prefix}{field.name}"
        converted = self._convert(hint, value, key)
        problem = find_problem(option_of(field), converted)
        if problem:
            raise self.fail(f"{key} {problem}", key=key)
        return converted

    def _convert(self, hint: Any, value: Any, key: str) -> Any:
        origin = typing.get_origin(hint)
        if hint is Any:
            return value
        if isinstance(hint, types.UnionType) or origin is typing.Union:
            return None if value is None else self._convert(_without_none(hint), value, key)
        if dataclasses.is_dataclass(hint):
            return self.read(typing.cast(type, hint), value, prefix=f"{key}.")
        if origin is tuple:
            return self._tuple(typing.get_args(hint), value, key)
        if origin is dict:
            self._require(isinstance(value, dict), dict, value, key)
            kind = typing.get_args(hint)[1]
            return {str(k): self._convert(kind, item, f"{key}.{k}") for k, item in value.items()}
        if hint is float and isinstance(value, int) and not isinstance(value, bool):
            self._require(abs(value) < _TOO_LARGE, float, value, key)
            return float(value)
        self._require(type(value) is hint, hint, value, key)  # type: bool is a subclass of int
        return value

    def _tuple(self, kinds: tuple[Any, ...], value: Any, key: str) -> tuple[Any, ...]:
        self._require(isinstance(value, (list, tuple)), list, value, key)
        if kinds[-1] is Ellipsis:
            nested = dataclasses.is_dataclass(kinds[0])  # tables are numbered in messages, from 1
            return tuple(
                self._convert(kinds[0], item, f"{key} #{number}" if nested else key)
                for number, item in enumerate(value, 1)
            )
        if len(value) != len(kinds):
            message = f"{key} must have {len(kinds)} values, got {_shown(list(value))}"
            raise self.fail(message, key=key)
        return tuple(
            self._convert(kind, item, key) for kind, item in zip(kinds, value, strict=True)
        )

    def _require(self, holds: bool, kind: Any, value: Any, key: str) -> None:
        if not holds:
            what = f"{key} must be {_TYPE_NAMES.get(kind, kind)}, got {_shown(value)}"
            raise self.fail(what, key=key)


def find_problem(rule: Option, value: Any) -> str:
    """Return what is wrong with a value of the right type, to follow its key; "" if nothing is."""
    if rule.choices and value not in rule.choices:
        allowed = ", ".join(str(choice) for choice in rule.choices if choice != "")
        return f"must be one of {allowed}; got {_shown(value)}"
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            continue
        if not rule.low <= number <= rule.high:  # false for NaN too
            return f"must be {_range(rule)}, got {_text(number)}"
        if rule.multiple_of and number % rule.multiple_of:
            return f"must be a multiple of {rule.multiple_of}, got {_text(number)}"
    return ""


def check_options(settings: Any, prefix: str = "") -> list[str]:
    """Return what is wrong with the values of a dataclass, one line each, nested ones included."""
    problems = []
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if dataclasses.is_dataclass(value):
            problems += check_options(value, f"{prefix}{field.name}.")
        elif problem := find_problem(option_of(field), value):
            problems.append(f"{prefix}{field.name} {problem}")
    return problems


def to_plain(value: Any) -> Any:
    """Return dataclasses, dicts and tuples as dicts and lists, ready for TOML or JSON."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    return value


def _range(rule: Option) -> str:
    if rule.high == math.inf:
        return f"{_text(rule.low)} or more"
    return f"in {_text(rule.low)}..{_text(rule.high)}"


def _is_required(field: dataclasses.Field[Any]) -> bool:
    missing = dataclasses.MISSING
    return field.init and field.default is missing and field.default_factory is missing


def _without_none(hint: Any) -> Any:
    kinds = [kind for kind in typing.get_args(hint) if kind is not type(None)]
    return kinds[0] if len(kinds) == 1 else Any


def _shown(value: Any) -> str:
    """Return a value as it is written in a message: whole if it is short."""
    if isinstance(value, int) and abs(value) >= _TOO_LARGE:
        return "a number of more than 300 digits"
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]} ..."


def _text(number: float) -> str:
    """Return a number as people write it: whole ones with all their digits."""
    if abs(number) >= _TOO_LARGE:
        return _shown(number)
    is_whole = float(number).is_integer() and abs(number) < _MOST_DIGITS
    return str(int(number)) if is_whole else f"{number:g}"
