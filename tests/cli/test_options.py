from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from edge_retina.cli.options import emit_json, json_option, out_option, seed_option, set_option
from edge_retina.errors import EdgeRetinaError


@click.command()
@json_option
@seed_option
@set_option
@out_option("Where it goes.", default="runs/x")
def command(json_target: str | None, seed: int | None, overrides: tuple, out: Path) -> None:
    click.echo(repr((json_target, seed, overrides, out.as_posix())))


@click.command()
@out_option("Where it goes.", required=False)
def optional(out: Path | None) -> None:
    click.echo(repr(out))


@click.command()
@out_option("Where it goes.")
def required(out: Path) -> None:
    click.echo(out.as_posix())


@pytest.mark.parametrize(
    "args, values",
    [
        ([], (None, None, (), "runs/x")),
        (["--json", "-", "--seed", "7"], ("-", 7, (), "runs/x")),
        (["--set", "a.b=1", "--set", "seed=2"], (None, None, ("a.b=1", "seed=2"), "runs/x")),
        (["--json", "r.json", "--out", "o"], ("r.json", None, (), "o")),
    ],
)
def test_values_arrive_under_their_names(args: list[str], values: tuple) -> None:
    assert CliRunner().invoke(command, args).stdout == repr(values) + "\n"


@pytest.mark.parametrize("args", [["--seed", "-1"], ["--seed", "x"], ["--json", "."]])
def test_bad_values_are_wrong_usage(args: list[str]) -> None:
    assert CliRunner().invoke(command, args).exit_code == 2


def test_out_may_be_left_out_or_be_required() -> None:
    assert CliRunner().invoke(optional, []).stdout == "None\n"
    result = CliRunner().invoke(required, [])
    assert result.exit_code == 2
    assert "Missing option '--out'" in result.stderr


def test_json_goes_nowhere_to_standard_output_or_to_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    emit_json({"a": 1}, None)
    assert capsys.readouterr().out == ""
    emit_json({"a": float("nan")}, "-")
    assert json.loads(capsys.readouterr().out) == {"a": None}
    emit_json({"a": 1}, str(tmp_path / "r.json"))
    assert capsys.readouterr().out == ""
    assert json.loads((tmp_path / "r.json").read_text()) == {"a": 1}


def test_json_file_that_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EdgeRetinaError, match=r"--json .*r\.json: can't be written"):
        emit_json({}, str(tmp_path / "file" / "r.json"))
