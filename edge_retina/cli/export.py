"""`edge-retina export`."""

from __future__ import annotations

from pathlib import Path

import click

from edge_retina.cli.configuration import with_seed
from edge_retina.cli.options import (
    debug_option,
    emit_json,
    json_option,
    out_option,
    seed_option,
    set_option,
)
from edge_retina.export.precision import DEFAULT_PRECISIONS, PRECISIONS
from edge_retina.run_directory import RunDirectory


def _split_precisions(
    context: click.Context, parameter: click.Parameter, value: str
) -> tuple[str, ...]:
    names = tuple(part.strip() for part in value.split(","))
    for name in names:
        if name not in PRECISIONS:
            raise click.BadParameter(f"{name!r} is not one of {', '.join(PRECISIONS)}")
    return names


@click.command("export")
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@out_option("The export directory.")
@click.option(
    "--precision",
    default=",".join(DEFAULT_PRECISIONS),
    show_default=True,
    callback=_split_precisions,
    help=f"Which files to write, separated by commas: of {', '.join(PRECISIONS)}.",
)
@click.option(
    "--no-nms",
    is_flag=True,
    help="Write NAME_raw_*.tflite with box codes and scores of every anchor instead, for clients "
    "that decode and run NMS by themselves.",
)
@click.option(
    "--method",
    type=click.Choice(["qat", "ptq"]),
    help="Which int8-ready model to take, if the run has both; by default the config's.",
)
@set_option
@json_option
@seed_option
@debug_option
def command(
    run: Path,
    out: Path,
    precision: tuple[str, ...],
    no_nms: bool,
    method: str | None,
    overrides: tuple[str, ...],
    json_target: str | None,
    seed: int | None,
) -> None:
    """Write the .tflite files of RUN with decoding and NMS inside, labels.txt and manifest.json.

    The files are compared with the model on pictures of the validation split before they are
    published. --seed is that of the split, for data that has none.

    Example: edge-retina export runs/mine --out detector --precision int8
    """
    from edge_retina.workflow.prepare import read_data, trained_config
    from edge_retina.workflow.stages import forget_from

    directory = RunDirectory(run)
    config = trained_config(directory, overrides=with_seed(overrides, seed))
    pictures = read_data(config).verification_pictures()
    # TensorFlow: seconds
    from edge_retina.export.artefact import export_run
    from edge_retina.quantization.state import available_method

    if out.resolve() == directory.export_dir.resolve():
        forget_from(directory, "export")  # `run` must not take the result for its own
    manifest = export_run(
        directory,
        out,
        config=config,
        precisions=precision,
        method=method or available_method(directory, config.quantize.method),
        pictures=pictures,
        nms=not no_nms,
    )
    for name, entry in manifest.files.items():
        click.echo(f"{out / name}  {entry.bytes} bytes")
    emit_json(manifest.to_dict(), json_target)
