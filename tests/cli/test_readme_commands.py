"""The README's command reference agrees with --help, and every command explains itself."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from edge_retina.cli.main import COMMANDS, main

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
OF_ALL_COMMANDS = {"--debug", "--help", "--json", "--seed"}  # explained above the table
REFERENCE = README.partition("## Commands\n")[2].partition("\n## ")[0]


def load(name: str) -> tuple[click.Command, click.Context]:
    root = click.Context(main, info_name="edge-retina")
    command = main.get_command(root, name)
    assert command is not None
    return command, click.Context(command, info_name=name, parent=root)


def usages() -> dict[str, str]:
    """The usage of each command as the README's table gives it."""
    found = re.findall(r"^\| `(edge-retina ([a-z-]+)[^`]*)` \|", REFERENCE, re.MULTILINE)
    return {name: usage for usage, name in found}


def test_readme_lists_the_commands_that_exist_in_their_order() -> None:
    assert list(usages()) == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_options_in_the_readme_exist(name: str) -> None:
    command, _ = load(name)
    known = {option for parameter in command.params for option in parameter.opts}
    named = set(re.findall(r"--[a-z][a-z-]*", usages()[name]))
    assert named <= known


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_in_the_readme(name: str) -> None:
    command, _ = load(name)
    own = {p.opts[0] for p in command.params if isinstance(p, click.Option)} - OF_ALL_COMMANDS
    assert own <= set(re.findall(r"--[a-z][a-z-]*", usages()[name]))


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
