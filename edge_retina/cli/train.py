"""`edge-retina train`."""

from __future__ import annotations

from pathlib import Path

import click

from edge_retina.cli.configuration import read_config
from edge_retina.cli.options import (
    debug_option,
    emit_json,
    json_option,
    out_option,
    seed_option,
    set_option,
)
from edge_retina.run_directory import RunDirectory


@click.command("train")
@click.argument("source", metavar="CONFIG.toml|DATA", type=click.Path(path_type=Path))
@out_option("Run directory. An interrupted training in it is resumed.")
@set_option
@json_option
@seed_option
@debug_option
def command(
    source: Path,
    out: Path,
    overrides: tuple[str, ...],
    json_target: str | None,
    seed: int | None,
) -> None:
    """Train a float model from a config file, or from a data set with default settings.

    Example: edge-retina train data/bccd --out runs/bccd --set train.epochs=30
    """
    from edge_retina.workflow.prepare import prepare_run
    from edge_retina.workflow.stages import STAGES

    run = RunDirectory(out)
    context = prepare_run(read_config(source, overrides=overrides, seed=seed), run)
    STAGES.complete(context, ["train"])
    click.echo(f"float model: {run.float_weights}")
    emit_json(run.details("train"), json_target)
