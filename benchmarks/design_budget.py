"""Does the file that `design` chooses meet its budget when it is measured again?

    python benchmarks/design_budget.py --json benchmarks/results/design_budget.json

For each budget, `edge-retina design` chooses and exports a network. `edge-retina benchmark` then
times the same file (same sha256) in processes of its own. Asked: both medians lie within 5 % of
each other, and the second one is at most 5 % above the budget. A choice must spend 95 % of the
budget, unless the grid has no larger network. The op table is kept between budgets.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from edge_retina.benchmark.environment import read_environment
from edge_retina.files import sha256_file, write_json

_ALLOWED = 0.05


@click.command()
@click.option("--budgets", default="10,15,20", show_default=True, metavar="MS[,MS...]")
@click.option("--repeats", default=1, show_default=True, help="Of all budgets.")
@click.option("--json", "target", type=click.Path(path_type=Path))
def main(budgets: str, repeats: int, target: Path | None) -> None:
    """Choose, measure again, tell."""
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        for _ in range(repeats):
            for budget in (float(text) for text in budgets.split(",")):
                rows.append(_confirm(budget, Path(directory)))
                click.echo(_text(rows[-1]))
    held = sum(row["confirmed"] for row in rows)
    click.echo(f"confirmed within {_ALLOWED:.0%}: {held} of {len(rows)}")
    if target is not None:
        environment = dataclasses.asdict(read_environment())
        write_json(target, {"schema_version": 1, "environment": environment, "results": rows})


def _confirm(budget_ms: float, directory: Path) -> dict[str, Any]:
    """Run both commands for one budget."""
    out, table = Path(tempfile.mkdtemp(dir=directory)), directory / "op_table.json"
    chosen_json, timed_json = directory / "design.json", directory / "benchmark.json"
    options = ("--out", out, "--op-table", table, "--json", chosen_json)
    _edge_retina("design", "--budget-ms", budget_ms, *options)
    design = json.loads(chosen_json.read_text(encoding="utf-8"))
    file = Path(design["file"])
    plan = ("--backend", design["backend"], "--threads", design["threads"])
    _edge_retina("benchmark", file, *plan, "--json", timed_json)
    (timed,) = json.loads(timed_json.read_text(encoding="utf-8"))["results"]
    if timed["sha256"] != sha256_file(file):
        raise click.ClickException(f"{file}: the benchmark timed another file")
    (chosen,) = (row for row in design["networks"] if row["title"] == design["chosen"])
    first, second = chosen["measured_ms"], timed["latency_ms"]["p50"]
    largest = all(row["capacity_macs"] <= chosen["capacity_macs"] for row in design["networks"])
    return {
        "budget_ms": budget_ms,
        "chosen": design["chosen"],
        "sha256": timed["sha256"],
        "design_ms": first,
        "benchmark_ms": second,
        "largest_of_the_grid": largest,
        "confirmed": abs(second / first - 1) <= _ALLOWED and second <= budget_ms * (1 + _ALLOWED),
        "spent": first >= budget_ms * (1 - _ALLOWED) or largest,
    }


def _edge_retina(*arguments: object) -> None:
    command = [sys.executable, "-m", "edge_retina.cli.main", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise click.ClickException(f"{' '.join(command)}: {done.stderr.strip()[-500:]}")


def _text(row: dict[str, Any]) -> str:
    return (
        f"{row['budget_ms']:g} ms: {row['chosen']}, design {row['design_ms']:.2f} ms, benchmark "
        f"{row['benchmark_ms']:.2f} ms ({row['benchmark_ms'] / row['budget_ms']:.0%} of the budget)"
        + ("" if row["confirmed"] else ", NOT confirmed")
    )


if __name__ == "__main__":
    main()
