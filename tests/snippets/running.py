"""Runs one snippet in a directory of its own and says how it went."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from edge_retina.cli.main import main
from edge_retina.runtime.start_up_lines import is_announcement
from tests.snippets.blocks import ROOT, Snippet
from tests.snippets.rules import (
    CONSOLE,
    PYTHON_NOT_RUN,
    PYTHON_SLOW,
    UNSTABLE,
    Rule,
    Speed,
    adapted,
    rule_for,
)

PROGRAM = "edge-retina"
SHARED_BCCD = ROOT.parent / "shared" / "data" / "bccd"  # as in tests/conftest.py
_WIDTH = 120  # of a line of a page


@dataclass(frozen=True)
class Part:
    """A command, or a Python snippet, and what became of it.

    Attributes:
        page, line: where its block is.
        text: as the page has it; of Python the first line.
        speed: "fast" or "slow"; "" if it is not run.
        seconds: of processor time, of children too; 0 if it was not run.
        reason: why it is not run; "" if it is.
    """

    page: str
    line: int
    text: str
    speed: str
    seconds: float
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        return asdict(self)


def speeds_of(snippet: Snippet) -> set[Speed]:
    """Return at which speeds something of a snippet is run."""
    if snippet.language == "python":
        return set() if _python_reason(snippet) else {_python_speed(snippet)}
    if snippet.language == "console":
        return {"fast"} if snippet.commands[0] in CONSOLE else set()
    rules = (rule_for(command) for command in snippet.commands)
    return {rule.speed for rule in rules if not rule.reason}


def is_run(snippet: Snippet, *, slow: bool) -> bool:
    """Whether a snippet belongs to a run: a block with anything slow is slow as a whole."""
    speeds = speeds_of(snippet)
    return "slow" in speeds if slow else speeds == {"fast"}


def run_snippet(snippet: Snippet, directory: Path) -> list[Part]:
    """Run a snippet and return its parts; those that can't be run have a reason.

    Raises:
        AssertionError: a command failed, or printed something else than the page says.
    """
    if snippet.language == "python":
        return [_run_python(snippet, directory)]
    if snippet.language == "console":
        return [_run_console(snippet, directory)]
    parts = []
    for command in snippet.commands:
        rule = rule_for(command)
        began = _processor_s()
        if not rule.reason:
            run_command(command, rule, directory)
        parts.append(_part(snippet, command, rule, _processor_s() - began))
    return parts


def listed_parts(snippet: Snippet) -> list[Part]:
    """Return the parts of a snippet that isn't run, each with its reason."""
    if snippet.language == "python":
        why = _python_reason(snippet)
        speed = "" if why else _python_speed(snippet)
        return [Part(snippet.page, snippet.line, _first(snippet), speed, 0, why)]
    if snippet.language == "console":
        reason = "shows figures of a device, of a training or made up; its command is parsed"
        return [Part(snippet.page, snippet.line, snippet.commands[0], "", 0, reason)]
    return [_part(snippet, command, rule_for(command), 0) for command in snippet.commands]


def _part(snippet: Snippet, command: str, rule: Rule, seconds: float) -> Part:
    speed = "" if rule.reason else rule.speed
    return Part(snippet.page, snippet.line, command, speed, round(seconds, 2), rule.reason)


def run_command(command: str, rule: Rule, directory: Path) -> str:
    """Run one command; its own program within this process, which saves the imports."""
    if "|" in command:
        words = ["bash", "-euo", "pipefail", "-c", command]
    else:
        words = adapted(command, rule)
    if words[0] == PROGRAM:
        with _inside(directory):
            result = CliRunner().invoke(main, words[1:])
        assert result.exit_code == 0, f"{words}: {result.output}\n{result.exception!r}"
        return result.stdout
    done = subprocess.run(words, cwd=directory, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{words}: {done.stdout}\n{done.stderr}"
    return done.stdout


def _run_python(snippet: Snippet, directory: Path) -> Part:
    began = _processor_s()
    done = subprocess.run(
        [sys.executable, "-c", snippet.text],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, f"{snippet.name}: {done.stderr}"
    seconds = round(_processor_s() - began, 2)
    speed = _python_speed(snippet)
    return Part(snippet.page, snippet.line, _first(snippet), speed, seconds, "")


def _run_console(snippet: Snippet, directory: Path) -> Part:
    (command,) = snippet.commands
    began = _processor_s()
    if "data/bccd" in command:
        if not SHARED_BCCD.is_dir():
            reason = "shows the shared data set, which is not on this machine"
            return Part(snippet.page, snippet.line, command, "", 0, reason)
        shutil.rmtree(directory / "data" / "bccd")
        (directory / "data" / "bccd").symlink_to(SHARED_BCCD)
    printed = run_command(command, Rule(""), directory).splitlines()
    if CONSOLE[command] == "lines":
        stable = tuple(line for line in snippet.output if not line.startswith(UNSTABLE))
        missing = unprinted(stable, printed)
    else:
        heads = [line for line in snippet.output if re.fullmatch(r"[A-Z][a-z]+", line)]
        missing = [line for line in heads if line not in printed]
    assert missing == [], f"{snippet.name}: the page has lines that are not printed: {missing}"
    seconds = round(_processor_s() - began, 2)
    return Part(snippet.page, snippet.line, command, "fast", seconds, "")


def unprinted(shown: tuple[str, ...], printed: list[str]) -> list[str]:
    """Return the lines of a page that a command doesn't print, in this order.

    "..." stands for lines that the page leaves out. A line of the page that goes on further to the
    right in the next ones was folded, as the output may be longer than a page is wide.
    """
    wanted = [line.strip() for line in shown if line.strip() and line.strip() != "..."]
    text = " ".join(" ".join(line.split()) for line in printed)
    missing, place = [], 0
    for line in wanted:
        found = text.find(" ".join(line.split()), place)
        if found < 0:
            missing.append(line)
        else:
            place = found
    return missing


def _python_speed(snippet: Snippet) -> Speed:
    return "slow" if any(text in snippet.text for text in PYTHON_SLOW) else "fast"


def _python_reason(snippet: Snippet) -> str:
    return next((why for text, why in PYTHON_NOT_RUN.items() if text in snippet.text), "")


def _first(snippet: Snippet) -> str:
    return snippet.text.splitlines()[0][:_WIDTH]


@contextlib.contextmanager
def _inside(directory: Path) -> Iterator[None]:
    """Work in a directory; what native libraries announce must not reach the terminal.

    Raises:
        AssertionError: they did.
    """
    before, terminal = Path.cwd(), os.dup(2)
    os.chdir(directory)
    with tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
            os.chdir(before)
        written.seek(0)
        announced = [line for line in written if is_announcement(line)]
        assert announced == [], f"printed by libraries: {announced}"


def _processor_s() -> float:
    """Return the processor time of this process and of its children, in seconds."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def wall_s() -> float:
    """Return a clock for the whole of a run."""
    return time.monotonic()
