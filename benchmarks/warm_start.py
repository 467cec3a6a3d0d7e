"""What a trained detector gives as the start of a training on few pictures, against ImageNet.

    python benchmarks/warm_start.py train [STUDY[/VARIANT] ...] --runs DIR [--sets bccd,chess]
                                          [--seeds 0,1,2]
    python benchmarks/warm_start.py table

`train` runs every (variant, set, seed) of `warm_start.toml` that has no result yet, and adds each
to benchmarks/results/warm_start.json; start it again to go on, or start one for each core
(`taskset -c N`): they share the work. A variant with `init` starts from the RUN of that cell, which
is trained before it, in the same `--runs`; as long as another process trains it, the variant is
left out. `table` writes benchmarks/results/warm_start.md.

Variants of one study differ by their start only: they have the same steps, batches and pictures,
which are drawn by the seed. They are trained on `train` and measured on `val`, with the last
averaged weights.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from ablation import (
    Cell,
    Script,
    cells,
    cells_options,
    chosen,
    claim_cell,
    settings_of,
    train_cell,
    variant_of,
)

from edge_retina.run_directory import RunDirectory

_SCRIPT = Script.named("warm_start")


@click.group()
def main() -> None:
    """Train from ImageNet and from detectors, or write the table."""


@main.command()
@cells_options
def train(names: tuple[str, ...], runs: Path, sets: str, seeds: str) -> None:
    """Train what has no result yet."""
    plan, runs = _SCRIPT.plan, runs.resolve()
    started_from = {start_of(cell, plan) for cell in cells(plan)}
    for cell in chosen(plan, names, sets, seeds):
        start = start_of(cell, plan)
        if start and not _is_trained(runs / start):
            click.echo(f"{cell.key} left out: {runs / start} is not trained yet")
            continue
        with claim_cell(cell, runs) as free:
            known = cell.key in _SCRIPT.results
            # A detector that others start from is needed itself, not only its result.
            missing = cell.key in started_from and not _is_trained(runs / cell.key)
            if free and (missing or not known):
                settings = settings_of(cell, plan)
                if start:
                    settings.append(f"train.init={json.dumps(str(runs / start))}")
                _SCRIPT.add(cell, train_cell(cell, settings, runs / cell.key), runs)


@main.command()
def table() -> None:
    """Write the table from the results."""
    _SCRIPT.write_table()


def start_of(cell: Cell, plan: dict[str, Any]) -> str:
    """Return the key of the cell whose detector a cell starts from; "" for ImageNet."""
    start: str = variant_of(cell, plan).get("init", "")
    return start


def _is_trained(run: Path) -> bool:
    return bool(RunDirectory(run).details("train"))


if __name__ == "__main__":
    main()
