"""`edge-retina convert`."""

from __future__ import annotations

from pathlib import Path

import click

from edge_retina.cli.data import skip_invalid_option
from edge_retina.cli.options import (
    STDOUT,
    debug_option,
    emit_json,
    json_option,
    out_option,
    seed_option,
)
from edge_retina.datasets.layouts import LAYOUTS


@click.command("convert")
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "--to",
    "layout",
    type=click.Choice(list(LAYOUTS)),
    required=True,
    help="Format to write.",
)
@out_option("Directory for the converted data set.")
@click.option("--force", is_flag=True, help="Replace --out if it exists.")
@skip_invalid_option
@json_option
@seed_option
@debug_option
def command(
    data: Path,
    layout: str,
    out: Path,
    force: bool,
    skip_invalid: bool,
    json_target: str | None,
    seed: int | None,
) -> None:
    """Convert DATA to another format.

    Images are copied; boxes, classes and splits are kept. Masks, poses and other extras are
    dropped. --seed is for splitting data without splits.

    Example: edge-retina convert data/bccd --to coco --out data/bccd-coco --skip-invalid
    """
    from edge_retina.datasets import load_dataset
    from edge_retina.datasets.portability import portability_warnings
    from edge_retina.datasets.saving import write_dataset

    dataset = load_dataset(data, skip_invalid=skip_invalid, seed=seed or 0)
    warnings = portability_warnings(dataset)
    lost = write_dataset(dataset, out, layout=layout, force=force)
    for line in warnings:
        click.echo(f"warning: {line}", err=True)
    counts = {name: len(examples) for name, examples in dataset.splits.items()}
    if json_target != STDOUT:
        told = ", ".join(f"{count} {name}" for name, count in counts.items())
        click.echo(f"{data} ({dataset.layout}) -> {out} ({layout}): {told} images")
        for line in lost:
            click.echo(f"not kept: {line}")
        for line in dataset.skipped:
            click.echo(f"skipped: {line}")
    record = {
        "schema_version": 1,
        "from": {"path": str(data), "layout": dataset.layout},
        "to": {"path": str(out), "layout": layout},
        "images": counts,
        "labels": list(dataset.labels),
        "not_kept": list(lost),
        "skipped": list(dataset.skipped),
        "warnings": list(warnings),
    }
    emit_json(record, json_target)
