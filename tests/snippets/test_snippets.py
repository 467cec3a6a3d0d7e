"""Every command and Python snippet of README and docs that can be run here is run.

Those that need TensorFlow or many seconds are `make test-docs-slow`; those that can't be run are
listed with a reason in rules.py, and tests/test_docs.py parses them as it does all.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.snippets.blocks import ROOT, Snippet, iterate_snippets
from tests.snippets.rules import PYTHON_NOT_RUN, RULES, STAND_INS, Rule, adapted, rule_for
from tests.snippets.running import is_run, run_snippet, speeds_of, unprinted
from tests.snippets.world import copy_world, make_world

SNIPPETS = list(iterate_snippets())
RESULT = ROOT / "benchmarks" / "results" / "snippets.json"


def cases(*, slow: bool) -> list[object]:
    seen: dict[str, int] = {}
    found: list[object] = []
    for snippet in SNIPPETS:
        if is_run(snippet, slow=slow):
            seen[snippet.name] = seen.get(snippet.name, 0) + 1
            again = f" ({seen[snippet.name]})" if seen[snippet.name] > 1 else ""
            found.append(pytest.param(snippet, id=snippet.name + again))
    return found


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("snippets") / "world")


@pytest.mark.parametrize("snippet", cases(slow=False))
def test_snippet(snippet: Snippet, world: Path, tmp_path: Path) -> None:
    run_snippet(snippet, copy_world(world, tmp_path / "here"))


def test_every_rule_is_for_something() -> None:
    commands = [command for snippet in SNIPPETS for command in snippet.commands]
    used = {rule_for(command) for command in commands}
    assert [rule.pattern for rule in RULES if rule not in used] == []


def test_every_stand_in_is_for_something() -> None:
    words = {word for snippet in SNIPPETS for line in snippet.commands for word in line.split()}
    assert set(STAND_INS) <= words


def test_most_commands_are_run() -> None:
    shells = [snippet for snippet in SNIPPETS if snippet.language == "sh"]
    commands = [
        command for snippet in shells for command in snippet.commands if "edge-retina " in command
    ]
    ran = [command for command in commands if not rule_for(command).reason]
    assert len(ran) / len(commands) > 0.5
    pythons = [snippet for snippet in SNIPPETS if snippet.language == "python"]
    left_out = [snippet for snippet in pythons if not speeds_of(snippet)]
    assert len(left_out) == len(PYTHON_NOT_RUN) < len(pythons) / 3


def test_the_committed_result_has_the_commands_of_the_pages() -> None:
    """Else: python -m tests.snippets.run --slow."""
    result = json.loads(RESULT.read_text(encoding="utf-8"))
    listed = {(part["page"], part["text"]) for part in result["parts"]}
    shells = [snippet for snippet in SNIPPETS if snippet.language == "sh"]
    wanted = {(snippet.page, command) for snippet in shells for command in snippet.commands}
    assert wanted - listed == set()


def test_words_are_replaced_and_options_left_out() -> None:
    rule = Rule("", more="--runs 2", without=("--set",))
    words = adapted(".venv/bin/edge-retina benchmark MODEL --set a=1 --json b.json", rule)
    assert words == [
        "edge-retina",
        "benchmark",
        "runs/demo/export",
        "--json",
        "b.json",
        "--runs",
        "2",
    ]


def test_lines_are_found_in_their_order_and_folded_ones_too() -> None:
    printed = ["head: 3 things", "  - a long line that goes on", "tail"]
    assert (
        unprinted(("head: 3 things", "...", "  - a long line", "    that goes on"), printed) == []
    )
    assert unprinted(("tail", "head: 3 things"), printed) == ["head: 3 things"]
    assert unprinted(("head: 4 things",), printed) == ["head: 4 things"]
