"""`edge-retina quantize`."""

from __future__ import annotations

from pathlib import Path

import click

from edge_retina.cli.configuration import with_seed
from edge_retina.cli.options import debug_option, emit_json, json_option, seed_option, set_option
from edge_retina.int8.pinned import write_pinned
from edge_retina.int8.selection import CalibrationSet
from edge_retina.run_directory import RunDirectory


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
    from edge_retina.workflow.prepare import open_run
    from edge_retina.workflow.run_lock import lock_run
    from edge_retina.workflow.stages import STAGES

    directory = RunDirectory(run)
    context = open_run(directory, overrides=with_seed(overrides, seed))
    method = method or context.config.quantize.method
    context.recipe.check_method(method)
    with lock_run(directory):
        STAGES.redo(f"quantize-{method}", context)
    from edge_retina.quantization.state import load_record

    record = load_record(directory, method)
    if pin is not None:
        write_pinned(
            pin,
            CalibrationSet(**record.calibration),
            dataset=context.config.name,
            split=context.config.data.train_split,
        )
    if record.choice:
        click.echo(f"qat {record.choice}")
    click.echo(f"int8-ready model ({method}): {directory.quantized_dir(method)}")
    emit_json(
        {
            "method": method,
            "steps": record.steps,
            "kept_step": record.best_step,
            "choice": record.choice,
            "calibration": record.calibration,
        },
        json_target,
    )
