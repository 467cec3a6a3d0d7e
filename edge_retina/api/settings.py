"""Settings given as keyword arguments, and errors in the words of Python."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edge_retina.errors import ConfigError, EdgeRetinaError, missing_extra

_COMMAND_LINE = "--set"


def overrides_of(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Return settings as the `section.field=value` texts that configs take.

    Args:
        settings: fields of the config: `seed=1`, a section with its fields as a dict, as in
            `train={"epochs": 3}`, or `**{"train.epochs": 3}`.

    Raises:
        ConfigError: a value that no config field can have.
    """
    return tuple(f"{key}={_literal(key, value)}" for key, value in _flat(settings))


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _literal(key: str, value: Any) -> str:
    """Return a value in TOML; of these types JSON is TOML too."""
    plain = _plain(value)
    if plain is None:
        raise ConfigError(
            f"settings: {key} is {value!r}; expected true or false, a number, a text, a path, or "
            "a list of these; leave the setting out to keep its default"
        )
    return json.dumps(plain)


def _plain(value: Any) -> Any:
    """Return a value ready for JSON, or None."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        items = [_plain(item) for item in value]
        return None if None in items else items
    return None


@contextmanager
def python_errors(what: str) -> Iterator[None]:
    """Name settings instead of `--set` in errors, and say which extra is missing.

    Args:
        what: that is done, for the message about a missing package.

    Raises:
        EdgeRetinaError: the packages of an extra are not installed.
    """
    try:
        yield
    except ConfigError as error:
        text = str(error)
        if not text.startswith(_COMMAND_LINE):
            raise
        raise ConfigError(f"settings{text.removeprefix(_COMMAND_LINE)}") from None
    except ImportError as error:
        text = missing_extra(error, what)
        if not text:
            raise
        raise EdgeRetinaError(text) from None
