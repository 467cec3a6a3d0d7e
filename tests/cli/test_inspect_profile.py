from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge_retina.benchmark.profile import profile_model
from edge_retina.cli.inspect import command
from edge_retina.cli.inspect_profile import profile_blocks
from edge_retina.cli.main import main
from edge_retina.report.plain_text import plain_text

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "tiny_uint8.tflite"


def inspect(*arguments: str) -> Result:
    return CliRunner().invoke(command, [str(GOLDEN), *arguments])


def rows(text: str, title: str) -> list[list[str]]:
    """Return the cells of the table with a title, without its heading."""
    lines = text[text.index(title) :].splitlines()[2:]
    return [line.split() for line in lines[: lines.index("")]]


def test_tables_by_part_type_and_operator() -> None:
    done = inspect("--profile")
    assert done.exit_code == 0, done.output
    first = done.stdout.splitlines()[0]
    assert first.startswith(f"{GOLDEN} with xnnpack, 1 thread: ")
    assert "its operators, each timed alone, add up to " in first
    assert "XNNPACK's 1 partition alone: " in done.stdout
    parts = rows(done.stdout, "By part")
    assert [row[0] for row in parts] == ["input", "whole"]
    types = {row[0]: row[1:4] for row in rows(done.stdout, "By type of operator")}
    assert types["CAST"][1] == "built-in"
    assert types["ADD"] == ["float32", "XNNPACK", "5"]
    slowest = rows(done.stdout, "The slowest")
    times = [float(row[row.index("float32") + 1 if "float32" in row else 5]) for row in slowest]
    assert times == sorted(times, reverse=True)
    assert "GB/s (a copy of 0.26 MB on one thread)" in done.stdout


def test_json_on_standard_output_is_nothing_but_json() -> None:
    done = inspect("--profile", "--backend", "builtin", "--threads", "2", "--json", "-")
    document = json.loads(done.stdout)
    assert (document["backend"], document["threads"]) == ("builtin", 2)
    assert document["delegated"] is None
    assert not any(op["delegated"] for op in document["operators"])


@pytest.mark.parametrize("whole_ms, warns", [(1.0, False), (1.3, False), (1.4, True), (0.8, True)])
def test_operators_that_don_t_explain_the_whole(whole_ms: float, warns: bool) -> None:
    found = profile_model(GOLDEN, rounds=1)
    op = found.operators[0]
    lone = dataclasses.replace(op, work=dataclasses.replace(op.work, ms=1.0))
    whole = dataclasses.replace(found.whole, ms=whole_ms)
    text = plain_text(*profile_blocks(dataclasses.replace(found, operators=(lone,), whole=whole)))
    assert ("Warning: the operators don't explain the whole" in text) == warns


@pytest.mark.parametrize("option", [("--threads", "2"), ("--backend", "xnnpack")])
def test_options_of_the_profile_alone_are_wrong_usage(option: tuple[str, str]) -> None:
    done = inspect(*option)
    assert done.exit_code == 2
    assert "belong to --profile; add it" in done.output


def test_a_picture_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    missing = tmp_path / "none.jpg"
    done = CliRunner().invoke(main, ["inspect", str(GOLDEN), "--profile", "--image", str(missing)])
    assert done.exit_code == 1
    assert done.stderr.startswith(f"Error: {missing}: ")
    assert done.stderr.count("\n") == 1
