"""Validation mAP and last loss of trainings that differ by one thing: mean and deviation.

    python benchmarks/compare_runs.py "before=RUN,RUN" "after=RUN,RUN" --name NAME

reads the last evaluation of each RUN and writes benchmarks/results/NAME.{json,md}.
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import click

from edge_retina.config import read_toml
from edge_retina.files import write_json, write_text
from edge_retina.report.markdown import markdown_table

_RESULTS = Path(__file__).parent / "results"


@click.command()
@click.argument("groups", nargs=-1, required=True, metavar="LABEL=RUN,RUN ...")
@click.option("--name", required=True, help="Of the result files.")
@click.option("--note", multiple=True, help="A paragraph above the table; may be given again.")
def main(groups: tuple[str, ...], name: str, note: tuple[str, ...]) -> None:
    """Compare groups of RUNs."""
    rows = [_row(label, runs.split(",")) for label, _, runs in (g.partition("=") for g in groups)]
    write_json(_RESULTS / f"{name}.json", {"schema_version": 1, "notes": note, "groups": rows})
    table = markdown_table(
        ["group", "steps", "mAP by seed", "mAP", "mAP50", "training loss"],
        [
            [
                row["label"],
                str(row["steps"]),
                ", ".join(f"{seed}: {mAP:.3f}" for seed, mAP in row["mAP"].items()),
                _spread(list(row["mAP"].values())),
                _spread(list(row["mAP50"].values())),
                _spread(list(row["loss"].values())),
            ]
            for row in rows
        ],
    )
    text = "".join(f"{paragraph}\n\n" for paragraph in note)
    write_text(
        _RESULTS / f"{name}.md",
        f"# Validation mAP: {name.replace('_', ' ')}\n\n{text}Mean ± standard deviation over seeds."
        f" Written by `python benchmarks/compare_runs.py`.\n\n{table}",
    )
    click.echo(table)


def _row(label: str, runs: list[str]) -> dict[str, Any]:
    """Return the last evaluation of each RUN by its seed."""
    found: dict[str, Any] = {"label": label, "mAP": {}, "mAP50": {}, "loss": {}}
    for run in map(Path, runs):
        config = read_toml(run / "config.toml")
        lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        logged = [json.loads(line) for line in lines]
        last = [line for line in logged if "mAP" in line][-1]
        found["steps"] = last["step"]
        for key in ("mAP", "mAP50"):
            found[key][str(config["seed"])] = last[key]
        found["loss"][str(config["seed"])] = [line for line in logged if "loss" in line][-1]["loss"]
    return found


def _spread(values: list[float]) -> str:
    mean = statistics.mean(values)
    return f"{mean:.3f} ± {statistics.stdev(values):.3f}" if len(values) > 1 else f"{mean:.3f}"


if __name__ == "__main__":
    main()
