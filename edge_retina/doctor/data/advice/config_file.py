"""Advice as a config file that `edge-retina run` takes as it is."""

from __future__ import annotations

from typing import Any

import tomli_w

from edge_retina.config import Config
from edge_retina.doctor.advice import Advice

_HEADER = "# Written by 'edge-retina {}'. What is not set here keeps its default.\n"


def config_file(
    advice: tuple[Advice, ...], config: Config, *, data_path: str, command: str = "doctor"
) -> str:
    """Return a config in TOML: the settings given to a command, changed as it advises.

    Args:
        advice: its reasons become comments.
        config: what the command was given; fields with their default are left out, and so are
            anchor shapes, which may not fit the advised levels: training fits new ones.
        data_path: for `data.path`; as in every config, relative to the file's directory.
        command: that gives the advice.
    """
    sections = _given(config)
    sections.setdefault("data", {})["path"] = data_path
    reasons = {item.key: item.reason for item in advice}
    for item in advice:
        section, _, name = item.key.partition(".")
        sections.setdefault(section, {})[name] = item.value
    top = {name: value for name, value in sections.items() if not isinstance(value, dict)}
    lines = [_HEADER.format(command), tomli_w.dumps(top)]
    for section, fields in sections.items():
        if section not in top:
            lines.append(f"\n[{section}]\n")
            lines += [
                _field(name, value, reasons.get(f"{section}.{name}"))
                for name, value in fields.items()
            ]
    return "".join(lines)


def _given(config: Config) -> dict[str, Any]:
    """Return what differs from the defaults, as a tree."""
    default, given = Config().to_dict(), config.to_dict()
    del given["anchors"]["shapes"]
    changed: dict[str, Any] = {}
    for section, value in given.items():
        if not isinstance(value, dict):
            differing = value if value != default[section] else None
        else:
            differing = {k: v for k, v in value.items() if v != default[section][k]}
        if differing:
            changed[section] = differing
    return changed


def _field(name: str, value: Any, reason: str | None) -> str:
    # tomli_w gives every number of a list a line of its own.
    numbers = isinstance(value, list) and not any(isinstance(item, list) for item in value)
    line = f"{name} = {value}\n" if numbers else tomli_w.dumps({name: value})
    return f"# {reason}\n{line}" if reason else line
