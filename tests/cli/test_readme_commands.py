"""The command reference agrees with the commands, and every command explains itself."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from edge_retina.cli.main import COMMANDS, main

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")


def load(name: str) -> tuple[click.Command, click.Context]:
    root = click.Context(main, info_name="edge-retina")
    command = main.get_command(root, name)
    assert command is not None
    return command, click.Context(command, info_name=name, parent=root)


def sections() -> dict[str, str]:
    """What the reference says of each command."""
    parts = re.split(r"^## (.+)\n", PAGE, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_the_reference_lists_the_commands_that_exist_in_their_order() -> None:
    assert list(sections()) == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_reference_has_every_option_of_the_command_and_no_other(name: str) -> None:
    command, _ = load(name)
    own = [p.opts[0] for p in command.params if isinstance(p, click.Option)]
    assert re.findall(r"^\| `(--[a-z][a-z-]*)", sections()[name], re.MULTILINE) == own


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_an_example_of_the_command(name: str) -> None:
    command, context = load(name)
    assert f"edge-retina {name}" in command.get_help(context).partition("\n")[2]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_explained(name: str) -> None:
    command, _ = load(name)
    options = [p for p in command.params if isinstance(p, click.Option)]
    assert [option.opts[0] for option in options if not option.help] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_takes_debug(name: str) -> None:
    command, _ = load(name)
    assert "--debug" in [option for parameter in command.params for option in parameter.opts]
