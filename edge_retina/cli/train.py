"""`edge-retina train`."""

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
from edge_retina.cluster import cluster_of
from edge_retina.config import Config
from edge_retina.run_directory import RunDirectory
from edge_retina.workflow.configuration import read_config, with_init


@click.command("train")
@click.argument("source", metavar="CONFIG.toml|DATA", type=click.Path(path_type=Path))
@out_option(
    "Run directory, required to train. An interrupted training in it is resumed.", required=False
)
@click.option(
    "--preview-augmentation",
    "preview",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Don't train: draw the first augmented training images into a .jpg or .png file.",
)
@init_option
@set_option
@json_option
@seed_option
@debug_option
@click.pass_context
def command(
    context: click.Context,
    source: Path,
    out: Path | None,
    preview: Path | None,
    init: str | None,
    overrides: tuple[str, ...],
    json_target: str | None,
    seed: int | None,
) -> None:
    """Train a float model from a config file, or from a data set with default settings.

    Example: edge-retina train data/bccd --out runs/bccd --set train.epochs=30
    """
    from edge_retina.workflow.stages import train_run

    overrides = with_init(overrides, init)
    if preview is not None:
        _preview(read_config(source, overrides=overrides, seed=seed), preview, json_target)
        return
    if out is None:
        parameter = next(option for option in context.command.params if option.name == "out")
        raise click.MissingParameter(ctx=context, param=parameter)
    run = RunDirectory(out)
    config = read_config(source, overrides=overrides, seed=seed)
    cluster = cluster_of(config.train.distribution)
    train_run(config, run)
    if not cluster.is_chief:
        click.echo(f"{cluster.this_worker}: trained; worker 0 writes the RUN")
        return
    click.echo(f"float model: {run.float_weights}")
    click.echo(f"next:        edge-retina quantize {run.root}")
    emit_json(run.details("train"), json_target)


def _preview(config: Config, target: Path, json_target: str | None) -> None:
    from edge_retina.input_pipeline.augmentation_effect import DRAWS
    from edge_retina.workflow.augmentation_preview import preview_augmentation

    found = preview_augmentation(config, target)
    effect = found.effect
    click.echo(f"augmented training images: {target}")
    click.echo(
        f"{DRAWS} draws, {effect.objects} objects: {effect.cut:.0%} cut, {effect.ignored:.0%} "
        f"ignored, {effect.small:.0%} smaller than 8 px; "
        f"{effect.coverage.best_possible_recall:.0%} have an anchor of IoU 0.5"
    )
    for line in found.warnings:
        click.echo(f"warning: {line}")
    emit_json(found.to_dict(), json_target)
