"""`edge-retina demo`."""

from __future__ import annotations

import importlib
from pathlib import Path

import click

from edge_retina.cli.options import (
    debug_option,
    emit_json,
    json_option,
    out_option,
    seed_option,
    set_option,
)
from edge_retina.cli.summary import print_summary
from edge_retina.run_directory import RunDirectory


@click.command("demo")
@out_option("Run directory; the generated images go into its data/.", default="runs/demo")
@set_option
@json_option
@seed_option
@debug_option
def command(
    out: Path, overrides: tuple[str, ...], json_target: str | None, seed: int | None
) -> None:
    """Run the whole pipeline on generated images. Needs no data set and no download.

    Example: edge-retina demo --out runs/demo
    """
    # First, because without TensorFlow nothing should be drawn
    importlib.import_module("edge_retina.model.keras")
    from edge_retina.workflow.demo import demo_config
    from edge_retina.workflow.measuring import load_results
    from edge_retina.workflow.stages import run_all

    run = RunDirectory(out)
    run_all(demo_config(out / "data", overrides=overrides, seed=seed), run)
    results = load_results(run, "evaluate")
    print_summary(run, results)
    emit_json(results, json_target)
