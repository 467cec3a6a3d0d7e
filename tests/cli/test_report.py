"""`edge-retina report`: pages of a stored benchmark."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from edge_retina.cli.main import main
from tests.report.benchmark_documents import document


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["report", *map(str, arguments)])
    return result.exit_code, result.output


def test_every_kind_of_page_is_written(tmp_path: Path) -> None:
    source = tmp_path / "b.json"
    source.write_text(json.dumps(document()))
    html, markdown, csv = (tmp_path / f"b.{kind}" for kind in ("html", "md", "csv"))
    code, output = run(
        source, "--html", html, "--markdown", markdown, "--csv", csv, "--title", "Of a phone"
    )
    assert (code, output) == (0, "")
    assert "<h1>Of a phone</h1>" in html.read_text()
    assert markdown.read_text().startswith("# Of a phone\n")
    assert len(csv.read_text().splitlines()) == 5


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    code, output = run(tmp_path / "gone.json", "--csv", tmp_path / "b.csv")
    assert code == 1
    assert output.startswith("Error: ")
    assert "gone.json: can't be read" in output
    assert output.count("\n") == 1


def test_nothing_to_write_is_wrong_usage(tmp_path: Path) -> None:
    code, output = run(tmp_path / "b.json")
    assert code == 2
    assert "nothing to write; add --html, --markdown or --csv FILE" in output


def test_a_page_that_can_not_be_written_is_one_line(tmp_path: Path) -> None:
    source = tmp_path / "b.json"
    source.write_text(json.dumps(document()))
    code, output = run(source, "--markdown", source / "b.md")
    assert code == 1
    assert "--markdown" in output
    assert "can't be written" in output
