"""`edge-retina run`."""

from __future__ import annotations

from pathlib import Path

import click

from edge_retina.cli.options import (
    debug_option,
    emit_json,
    init_option,
    json_option,
    out_option,
    seed_option,
    set_option,
)
from edge_retina.cli.summary import print_summary
from edge_retina.cluster import cluster_of
from edge_retina.run_directory import RunDirectory
from edge_retina.workflow.configuration import read_config, with_init


@click.command("run")
@click.argument("config", metavar="CONFIG.toml", type=click.Path(path_type=Path))
@out_option("Run directory. Default: runs/NAME, with the name in the config.", required=False)
@init_option
@set_option
@json_option
@seed_option
@debug_option
def command(
    config: Path,
    out: Path | None,
    init: str | None,
    overrides: tuple[str, ...],
    json_target: str | None,
    seed: int | None,
) -> None:
    """Run the whole pipeline: train, quantise, export, evaluate, benchmark, report.

    To resume after an interruption, run the same command again.

    Example: edge-retina run my.toml --out runs/mine
    """
    from edge_retina.workflow.measuring import load_results
    from edge_retina.workflow.stages import run_all

    settings = read_config(config, overrides=with_init(overrides, init), seed=seed)
    run = RunDirectory(out or Path("runs") / settings.name)
    cluster = cluster_of(settings.train.distribution)
    run_all(settings, run)
    if not cluster.is_chief:
        click.echo(f"{cluster.this_worker}: trained; worker 0 does the rest of the RUN")
        return
    results = load_results(run, "evaluate")
    print_summary(run, results)
    emit_json(results, json_target)
