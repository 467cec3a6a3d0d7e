"""The pages that are generated from the code: `config.md`, `cli.md` and `python.md`.

`python -m docs.site.references` writes them; `tests/test_docs.py` fails if they are out of date.
"""

from __future__ import annotations

import inspect
import json
import math
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from docs.site.findings_page import findings_page
from docs.site.python_page import python_page
from edge_retina.cli.main import COMMANDS, main
from edge_retina.config import (
    AUGMENTATION_LEVELS,
    PRESET_DIR,
    PRESETS,
    Config,
    augmentation_level,
    read_toml,
)
from edge_retina.files import write_text
from edge_retina.report.markdown import markdown_table
from edge_retina.schema import Option, iterate_options, to_plain

DIRECTORY = Path(__file__).resolve().parent.parent
NOTE = "<!-- Generated from {source} by `make references`; do not edit. -->"
CONFIG_HEAD = """\
# Config reference

A config is a TOML file that says what differs from these defaults. `edge-retina run` writes the
complete one to `RUN/config.toml`.

```toml
preset = "balanced"
name = "cells"

[data]
path = "data/cells"

[train]
epochs = 60
```

The order is: defaults, then the preset, then the file, then `--set section.field=value` on the
command line. A misspelt field is an error that suggests the right name. Paths in a file are
relative to that file; paths in `--set` are relative to the working directory.
"""
CLI_HEAD = """\
# Command reference

DATA is a data set directory or an annotation file. RUN is the directory of a training run. MODEL
is a RUN, a `.tflite` file or an export directory.

- `edge-retina COMMAND --help` prints the same text as this page.
- Results go to standard output. Logs and progress go to standard error.
- `--json FILE` writes the results as JSON; `-` is standard output. JSON schemas describe them:
  [evaluate](schemas/evaluate.json), [benchmark](schemas/benchmark.json),
  [predict](schemas/predict.json), [doctor](schemas/doctor.json), [design](schemas/design.json),
  an export's [manifest.json](schemas/manifest.json), and a line of a RUN's
  [metrics.jsonl](schemas/metrics.json). A field can be added at any time. If one is removed or
  changed, the document's version is raised.
- Commands that use random numbers take `--seed`.
- Exit codes: 0 success, 1 failure, 2 wrong usage, 130 interrupted. A failure prints one line that
  says why and what to do. `--debug` adds the traceback. A value that an option can't take is a
  failure. Unknown, missing and contradictory options are wrong usage, and print how to get help.
"""


def config_page() -> str:
    """Return the page of all config fields, presets and augmentation levels."""
    parts = [CONFIG_HEAD, NOTE.format(source="edge_retina/config.py"), ""]
    parts += ["## Top level", "", _fields_table("")]
    hints = typing.get_type_hints(Config)
    for section in (name for name, value in to_plain(Config()).items() if isinstance(value, dict)):
        parts += [f"## {section}", "", inspect.cleandoc(hints[section].__doc__), ""]
        parts += [_fields_table(section)]
    parts += ["## Presets", "", "Fields that a preset changes. `demo` is for `edge-retina demo`."]
    parts += ["", _presets_table(), "## Augmentation levels", ""]
    parts += ["What `augmentation.level` sets. Fields that are given in the config count more.", ""]
    parts += [_levels_table()]
    return "\n".join(parts).rstrip() + "\n"


def cli_page() -> str:
    """Return the page of all commands with their options."""
    parts = [CLI_HEAD, NOTE.format(source="edge_retina/cli"), ""]
    parts += [
        markdown_table(
            ["command", "what it does"],
            [[f"[`{name}`](#{name})", entry.summary] for name, entry in COMMANDS.items()],
        )
    ]
    root = click.Context(main, info_name="edge-retina")
    for name in COMMANDS:
        command = main.get_command(root, name)
        assert command is not None
        context = click.Context(command, info_name=name, parent=root)
        parts += [f"## {name}", "", *_command_parts(command, context)]
    return "\n".join(parts).rstrip() + "\n"


def _fields_table(section: str) -> str:
    """Return the table of a section's fields; "" is the top level."""
    defaults = to_plain(Config())
    defaults = defaults[section] if section else defaults
    rows = []
    for key, rule in iterate_options(Config):
        parent, _, name = key.rpartition(".")
        if parent == section:
            default = defaults[name]
            shown = f"`{json.dumps(default)}`"
            rows.append([f"`{name}`", shown, _allowed(rule, default), _escaped(rule.help)])
    return markdown_table(["field", "default", "allowed", "meaning"], rows)


def _allowed(rule: Option, default: Any) -> str:
    if rule.choices:
        return ", ".join(f"`{json.dumps(choice)}`" for choice in rule.choices)
    if isinstance(default, bool):
        return "`true`, `false`"
    parts = []
    if not math.isinf(rule.low) and not math.isinf(rule.high):
        parts.append(f"{rule.low:,.10g} to {rule.high:,.10g}")
    elif not math.isinf(rule.low):
        parts.append(f"{rule.low:,.10g} or more")
    if rule.multiple_of:
        parts.append(f"multiples of {rule.multiple_of}")
    if rule.path:
        parts.append({"name-or-file": "a name or a file"}.get(rule.path, f"a {rule.path}"))
    return ", ".join(parts)


def _presets_table() -> str:
    """Return one row per field that any preset sets, one column per preset."""
    trees = {name: dict(_flat(read_toml(PRESET_DIR / f"{name}.toml"))) for name in PRESETS}
    keys = dict.fromkeys(key for tree in trees.values() for key in tree)
    rows = [[f"`{key}`"] + [_value(tree, key) for tree in trees.values()] for key in keys]
    return markdown_table(["field", *trees], rows)


def _value(tree: dict[str, Any], key: str) -> str:
    return f"`{json.dumps(tree[key])}`" if key in tree else ""


def _flat(tree: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _levels_table() -> str:
    levels = {name: augmentation_level(name) for name in AUGMENTATION_LEVELS}
    rows = [
        [f"`{key}`"] + [_value(fields, key) for fields in levels.values()]
        for key in levels["none"]
        if len({_value(fields, key) for fields in levels.values()}) > 1
    ]
    return markdown_table(["field", *levels], rows)


def _command_parts(command: click.Command, context: click.Context) -> list[str]:
    """Return the lines of a command's section, its heading left out."""
    arguments = [p.make_metavar(context) for p in command.params if isinstance(p, click.Argument)]
    required = [
        f"{option.opts[0]} {option.make_metavar(context)}"
        for option in command.params
        if isinstance(option, click.Option) and option.required
    ]
    usage = " ".join(["edge-retina", context.info_name or "", *arguments, *required, "[OPTIONS]"])
    parts = ["```text", usage, "```", ""]
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        text = " ".join(line for line in paragraph.splitlines() if line != "\b")
        if text.startswith("Example: "):
            parts += ["```sh", text.removeprefix("Example: "), "```", ""]
        else:
            parts += [_escaped(text), ""]
    records = [
        option.get_help_record(context)
        for option in command.params
        if isinstance(option, click.Option)
    ]
    rows = [[f"`{record[0]}`", _escaped(record[1])] for record in records if record]
    return [*parts, markdown_table(["option", "meaning"], rows)]


def _escaped(text: str) -> str:
    return text.replace("*", "\\*").replace("<", "&lt;")


def _python_page() -> str:
    return python_page(NOTE.format(source="the docstrings of edge_retina"))


def _findings_page() -> str:
    return findings_page(NOTE.format(source="edge_retina/doctor"))


PAGES = {
    "config.md": config_page,
    "cli.md": cli_page,
    "findings.md": _findings_page,
    "python.md": _python_page,
}


def write_pages() -> None:
    """Write the pages into docs/."""
    for name, page in PAGES.items():
        write_text(DIRECTORY / name, page())


if __name__ == "__main__":
    write_pages()
