"""Measure a suite of models, and keep its result with pages and the environment.

    python benchmarks/suite.py benchmarks/suites/bccd.toml

A suite is a TOML file: a title, models, and options of `edge-retina benchmark`, by name. Models and
data are relative to the repository. Written are benchmarks/results/suite_NAME.json, .html, .md and
.csv, and benchmarks/README.md is renewed. Measure on a machine that does nothing else.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from edge_retina.cli.benchmark_files import write_pages
from edge_retina.config import read_toml
from edge_retina.files import dump_json, write_text

BENCHMARKS = Path(__file__).resolve().parent
_DECIMALS = 4  # of milliseconds: more than a clock tells
_KEYS = {"title", "models", "benchmark"}


@dataclass(frozen=True)
class Suite:
    """What to measure together.

    Attributes:
        name: of the file.
        title: for the reader.
        models: RUNs, export directories and .tflite files.
        options: of `edge-retina benchmark`, without the dashes before the name.
    """

    name: str
    title: str
    models: tuple[str, ...]
    options: dict[str, Any]

    @classmethod
    def load(cls, path: Path) -> Suite:
        """Return the suite of a file.

        Raises:
            click.ClickException: a key is missing or unknown.
        """
        tree = read_toml(path)
        if tree.keys() != _KEYS or not tree["models"]:
            raise click.ClickException(
                f"{path}: expected title, at least one of models, and [benchmark]; "
                f"got {', '.join(tree) or 'nothing'}"
            )
        return cls(path.stem, tree["title"], tuple(tree["models"]), tree["benchmark"])

    def arguments(self) -> list[str]:
        """Return the arguments of `edge-retina benchmark`."""
        words = ["benchmark", *self.models]
        for name, value in self.options.items():
            if value is True:
                words.append(f"--{name}")
            elif value is not False:
                words += [f"--{name}", str(value)]
        return words

    @property
    def command(self) -> str:
        """What the reader may type instead."""
        return f"edge-retina {' '.join(self.arguments())}"


@click.command()
@click.argument("suite", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--results",
    default=BENCHMARKS / "results",
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory for the results; with another than the default, README.md stays as it is.",
)
def main(suite: Path, results: Path) -> None:
    """Measure SUITE and write its results."""
    chosen = Suite.load(suite)
    stem = results.resolve() / f"suite_{chosen.name}"
    results.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        raw = Path(scratch, "benchmark.json")
        files = ["--json", str(raw), "--html", f"{stem}.html", "--title", chosen.title]
        done = subprocess.run(
            [sys.executable, "-m", "edge_retina.cli.main", *chosen.arguments(), *files],
            cwd=BENCHMARKS.parent,
            check=False,
        )
        if done.returncode:
            raise click.ClickException(f"{chosen.command}: exit code {done.returncode}")
        document = json.loads(raw.read_text(encoding="utf-8"))
    document = {"title": chosen.title, "command": chosen.command, **rounded(document)}
    write_text(f"{stem}.json", compact(document))
    write_pages(
        document,
        html=None,
        markdown=Path(f"{stem}.md"),
        csv=Path(f"{stem}.csv"),
        title=chosen.title,
    )
    click.echo(f"written: {stem}.html, .md, .csv and .json")
    if results.resolve() == BENCHMARKS / "results":
        subprocess.run([sys.executable, BENCHMARKS / "index.py"], check=True)


def rounded(value: Any) -> Any:
    """Return a JSON value with its lists of numbers, the samples, rounded."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        numbers = all(isinstance(item, float) for item in value)
        return [round(item, _DECIMALS) if numbers else rounded(item) for item in value]
    return value


def compact(document: dict[str, Any]) -> str:
    """Return JSON text with each list of numbers on one line."""
    return re.sub(
        r"\[[-+\d.eE,\s]+\]", lambda found: re.sub(r"\s+", " ", found[0]), dump_json(document)
    )


if __name__ == "__main__":
    main()
