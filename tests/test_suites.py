"""benchmarks/suite.py and the index that benchmarks/index.py writes."""

from __future__ import annotations

import importlib
import importlib.machinery
import json
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from edge_retina.cli.main import COMMANDS, main
from tests.report.benchmark_documents import document

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SUITES = sorted((BENCHMARKS / "suites").glob("*.toml"))


@pytest.fixture
def suite(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("suite")


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("index")


def test_the_index_is_up_to_date(index: Any) -> None:
    """Else: python benchmarks/index.py."""
    assert index.README.read_text(encoding="utf-8") == index.render()


def test_a_measured_suite_has_a_table(
    index: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(index, "BENCHMARKS", tmp_path)
    result = tmp_path / "results" / "suite_x.json"
    result.parent.mkdir()
    environment = {"cpu": "Some CPU", "cores": 2, "os": "Linux 6"}
    result.write_text(json.dumps(document(environment=environment)))
    text = index._suite(SUITES[0], [result])
    assert "[suite_x.json](results/suite_x.json). Some CPU, 2 cores, Linux 6." in text
    assert "| x_int8.tflite, xnnpack | 1 thread | 2.10 | 0.578 |" in text
    assert "Not measured yet." in index._suite(SUITES[0], [])


def test_results_of_one_name_stand_together_those_for_reading_first(index: Any) -> None:
    names = ["b.json", "a.csv", "b.png", "b.md", "a_more.md", "a.html"]
    found = index._by_stem(map(Path, names))
    assert {stem: [path.name for path in files] for stem, files in found.items()} == {
        "a": ["a.html", "a.csv"],
        "a_more": ["a_more.md"],
        "b": ["b.md", "b.json", "b.png"],
    }
    owners = index._owners(["a", "a_more_x", "a_most", "b"], ["a", "a_more", "c"])
    assert owners == {"a": "a", "a_more_x": "a_more", "a_most": "a"}


def test_every_link_of_the_index_leads_somewhere(index: Any) -> None:
    targets = [part.partition(")")[0] for part in index.render().split("](")[1:]]
    assert len(targets) > 30
    assert [target for target in targets if not (BENCHMARKS / target).is_file()] == []


@pytest.mark.parametrize("path", SUITES, ids=lambda path: path.stem)
def test_every_suite_is_a_command(path: Path, suite: Any) -> None:
    """The options exist and their values are allowed; nothing is measured."""
    name, *arguments = suite.Suite.load(path).arguments()
    assert name in COMMANDS
    command = main.get_command(click.Context(main), name)
    assert command is not None
    command.make_context(name, list(arguments))


def test_a_suite_is_written_as_a_command(suite: Any, tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text(
        'title = "T"\nmodels = ["a", "b"]\n[benchmark]\nrounds = 5\n'
        'skip-invalid = true\nallow = false\ndata = "d"\n'
    )
    chosen = suite.Suite.load(path)
    assert chosen.command == "edge-retina benchmark a b --rounds 5 --skip-invalid --data d"
    assert (chosen.name, chosen.title) == ("s", "T")


def test_a_suite_without_its_parts_is_refused(suite: Any, tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text('title = "T"\nmodel = ["a"]\n[benchmark]\n')
    with pytest.raises(click.ClickException, match=r"s\.toml: expected title, at least one of"):
        suite.Suite.load(path)


def test_samples_are_rounded_and_stand_on_one_line(suite: Any) -> None:
    tree = {"samples": [1.23456789, 2.0], "ratio": 0.123456789, "names": ["a", "b"], "none": []}
    text = suite.compact(suite.rounded(tree))
    assert '"samples": [ 1.2346, 2.0 ]' in text
    assert json.loads(text) == {**tree, "samples": [1.2346, 2.0]}


@pytest.mark.parametrize("path", sorted(BENCHMARKS.glob("*.py")), ids=lambda p: p.stem)
def test_no_script_hides_a_package(path: Path) -> None:
    """A script's directory comes first where it is run: `packaging.py` would be TensorFlow's."""
    elsewhere = [place for place in sys.path if Path(place or ".").resolve() != path.parent]
    assert importlib.machinery.PathFinder.find_spec(path.stem, elsewhere) is None
    assert path.stem not in sys.stdlib_module_names
