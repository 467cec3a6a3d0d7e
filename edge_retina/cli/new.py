"""`edge-retina new`."""

from __future__ import annotations

from pathlib import Path

import click

from edge_retina.cli.options import (
    STDOUT,
    debug_option,
    emit_json,
    image_size_option,
    json_option,
    out_option,
    seed_option,
    set_option,
)


@click.command("new")
@click.argument("data", type=click.Path(path_type=Path))
@out_option("Config file to write. Default: NAME.toml here, for a data set NAME.", required=False)
@click.option("--force", is_flag=True, help="Overwrite --out if it exists.")
@click.option("--preset", help="Start from this preset: fast, balanced or accurate.")
@image_size_option()
@set_option
@json_option
@seed_option
@debug_option
def command(
    data: Path,
    out: Path | None,
    force: bool,
    preset: str | None,
    image_hw: tuple[int, int] | None,
    overrides: tuple[str, ...],
    json_target: str | None,
    seed: int | None,
) -> None:
    """Write a config for DATA: what `doctor` advises, each setting with its reason above it.

    Nothing is asked. Edit the file, or train with it as it is.

    Example: edge-retina new data/cells --out cells.toml
    """
    from edge_retina.workflow.configuration import with_seed
    from edge_retina.workflow.new_config import write_new_config

    written = write_new_config(
        data,
        out,
        preset=preset,
        overrides=with_seed(overrides, seed),
        image_hw=image_hw,
        force=force,
    )
    if json_target != STDOUT:
        click.echo(f"config: {written.path}")
        click.echo(written.findings_text)
        click.echo(f"next:   {written.next_command}")
    emit_json(written.to_dict(), json_target)
