"""`edge-retina quantize`."""

from __future__ import annotations

from pathlib import Path

import click

from edge_retina.cli.options import debug_option, emit_json, json_option, seed_option, set_option
from edge_retina.run_directory import RunDirectory


@click.command("quantize")
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option(
    "--method",
    type=click.Choice(["qat", "ptq"]),
    help="With training (qat) or by calibration alone (ptq); by default the config's.",
)
@set_option
@json_option
@seed_option
@debug_option
def command(
    run: Path,
    method: str | None,
    overrides: tuple[str, ...],
    json_target: str | None,
    seed: int | None,
) -> None:
    """Make the trained model of RUN int8-ready.

    Example: edge-retina quantize runs/mine --method qat --set quantize.epochs=4
    """
    from edge_retina.quantization.quantize import quantize_run
    from edge_retina.workflow.prepare import check_data, read_data

    directory = RunDirectory(run)
    config = directory.load_config(overrides=_with_seed(overrides, seed))
    directory.require(directory.float_weights, "train")
    method = method or config.quantize.method
    data = check_data(read_data(config), skip_invalid=config.data.skip_invalid)
    record = quantize_run(directory, config, method=method, train=data.train, val=data.val)
    click.echo(f"int8-ready model ({method}): {directory.quantized_dir(method)}")
    emit_json(
        {"method": method, "steps": record.steps, "calibration": record.calibration}, json_target
    )


def _with_seed(overrides: tuple[str, ...], seed: int | None) -> tuple[str, ...]:
    return overrides if seed is None else (*overrides, f"seed={seed}")
