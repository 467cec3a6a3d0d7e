"""`edge-retina quantize`."""

from __future__ import annotations

from pathlib import Path

import click

from edge_retina.cli.options import debug_option, emit_json, json_option, seed_option, set_option
from edge_retina.run_directory import RunDirectory
from edge_retina.workflow.configuration import with_seed


@click.command("quantize")
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option(
    "--method",
    type=click.Choice(["qat", "ptq"]),
    help="qat: with training; ptq: by calibration alone. Default: the method in the config.",
)
@click.option(
    "--pin",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the list of calibration images, for quantize.calibration_set on another machine.",
)
@set_option
@json_option
@seed_option
@debug_option
def command(
    run: Path,
    method: str | None,
    pin: Path | None,
    overrides: tuple[str, ...],
    json_target: str | None,
    seed: int | None,
) -> None:
    """Make the trained model of RUN int8-ready.

    Example: edge-retina quantize runs/mine --method qat --set quantize.epochs=4
    """
    from edge_retina.workflow.quantizing import quantize_model

    found = quantize_model(
        RunDirectory(run), method=method, overrides=with_seed(overrides, seed), pin=pin
    )
    click.echo(f"int8-ready model ({found.method}): {found.directory}")
    click.echo(f"next: edge-retina export {run} --method {found.method} --out {run / 'exported'}")
    emit_json(found.to_dict(), json_target)
