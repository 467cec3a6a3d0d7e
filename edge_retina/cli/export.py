"""`edge-retina export`."""

from __future__ import annotations

from pathlib import Path

import click
from click.core import ParameterSource

from edge_retina.cli.decoder import split_languages
from edge_retina.cli.options import (
    debug_option,
    emit_json,
    json_option,
    out_option,
    seed_option,
    set_option,
)
from edge_retina.decoders.table import LANGUAGES
from edge_retina.export.precision import DEFAULT_PRECISIONS, PRECISIONS
from edge_retina.export.targets.table import DEFAULT_TARGET, TARGETS
from edge_retina.run_directory import RunDirectory
from edge_retina.workflow.configuration import with_seed


def _split_precisions(
    context: click.Context, parameter: click.Parameter, value: str
) -> tuple[str, ...]:
    names = tuple(part.strip() for part in value.split(","))
    for name in names:
        if name not in PRECISIONS:
            raise click.BadParameter(f"{name!r} is not one of {', '.join(PRECISIONS)}")
    return names


def _split_targets(
    context: click.Context, parameter: click.Parameter, value: str
) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(part.strip() for part in value.split(",")))
    for name in names:
        if name not in TARGETS:
            raise click.BadParameter(f"{name!r} is not one of {', '.join(TARGETS)}")
    return names


def _check_together(targets: tuple[str, ...], *, no_nms: bool) -> None:
    others = ", ".join(name for name in targets if name != DEFAULT_TARGET)
    if no_nms and others:
        raise click.UsageError(
            f"--no-nms changes the files for {DEFAULT_TARGET} only, and those for {others} have no "
            "NMS anyway; leave out --no-nms or --target"
        )
    source = click.get_current_context().get_parameter_source("precision")
    if DEFAULT_TARGET not in targets and source is not ParameterSource.DEFAULT:
        raise click.UsageError(
            f"--precision is of the files for {DEFAULT_TARGET}; those for {others} have the one "
            f"that suits it: leave out --precision, or add {DEFAULT_TARGET} to --target"
        )


@click.command("export")
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@out_option("Export directory.")
@click.option(
    "--precision",
    default=",".join(DEFAULT_PRECISIONS),
    show_default=True,
    callback=_split_precisions,
    help=f"Files to write, comma-separated: any of {', '.join(PRECISIONS)}.",
)
@click.option(
    "--target",
    "targets",
    default=DEFAULT_TARGET,
    show_default=True,
    callback=_split_targets,
    help=f"What the files are for, comma-separated: any of {', '.join(TARGETS)}. For all but "
    "cpu, NAME_TARGET_*.tflite ends with the heads of each level.",
)
@click.option(
    "--no-nms",
    is_flag=True,
    help="Write NAME_raw_*.tflite instead, with the box codes and scores of every anchor, for "
    "clients that do their own decoding and NMS.",
)
@click.option(
    "--decoder",
    "decoders",
    metavar="LANGUAGES",
    callback=split_languages,
    help="Write source code beside each file without NMS that turns its outputs into detections; "
    f"comma-separated: any of {', '.join(LANGUAGES)}.",
)
@click.option(
    "--method",
    type=click.Choice(["qat", "ptq"]),
    help="Which int8-ready model to export if RUN has both. Default: the method in the config.",
)
@set_option
@json_option
@seed_option
@debug_option
def command(
    run: Path,
    out: Path,
    precision: tuple[str, ...],
    targets: tuple[str, ...],
    no_nms: bool,
    decoders: tuple[str, ...],
    method: str | None,
    overrides: tuple[str, ...],
    json_target: str | None,
    seed: int | None,
) -> None:
    """Write .tflite files of RUN with decoding and NMS inside, plus labels.txt and manifest.json.

    Before the files are published, they are compared with the model on images of the validation
    split. --seed is for splitting data without splits.

    Example: edge-retina export runs/mine --out detector --precision int8
    """
    from edge_retina.workflow.exporting import ExportRequest, export_files
    from edge_retina.workflow.prepare import open_run

    _check_together(targets, no_nms=no_nms)
    request = ExportRequest(
        out,
        precisions=precision,
        method=method,
        nms=not no_nms,
        targets=targets,
        decoders=decoders,
    )
    context = open_run(RunDirectory(run), overrides=with_seed(overrides, seed), decode=False)
    manifest = export_files(context, request)
    for name, entry in manifest.files.items():
        click.echo(f"{out / name}  {entry.bytes} bytes")
    click.echo(f"next: edge-retina predict {out} IMAGE... --out drawn")
    emit_json(manifest.to_dict(), json_target)
