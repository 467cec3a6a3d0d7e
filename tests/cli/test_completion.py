"""Completion in the shell, as docs/install.md installs it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

INSTALL = Path(__file__).resolve().parents[2] / "docs" / "install.md"
PROGRAM = "from edge_retina.cli.main import main; main(prog_name='edge-retina')"


def complete(**variables: str) -> str:
    environment = {**os.environ, **variables}
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=60
    )
    return result.stdout


@pytest.mark.parametrize(
    ("typed", "expected"),
    [("edge-retina qua", {"quantize"}), ("edge-retina pre", {"predict"}), ("edge-retina x", set())],
)
def test_commands_are_completed(typed: str, expected: set[str]) -> None:
    text = complete(_EDGE_RETINA_COMPLETE="bash_complete", COMP_WORDS=typed, COMP_CWORD="1")
    assert {line.partition(",")[2] for line in text.split()} == expected


def test_options_are_completed() -> None:
    text = complete(
        _EDGE_RETINA_COMPLETE="bash_complete", COMP_WORDS="edge-retina demo --o", COMP_CWORD="2"
    )
    assert text.split() == ["plain,--out"]


def test_the_page_names_the_scripts_that_there_are() -> None:
    page = INSTALL.read_text(encoding="utf-8")
    shells = list(dict.fromkeys(re.findall(r"\b(bash|zsh|fish)_source", page)))
    assert shells == ["bash", "zsh", "fish"]
    for shell in shells:
        assert "_EDGE_RETINA_COMPLETE" in complete(_EDGE_RETINA_COMPLETE=f"{shell}_source")
