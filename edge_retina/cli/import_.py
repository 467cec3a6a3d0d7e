"""`edge-retina import`."""

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
)
from edge_retina.run_directory import RunDirectory


@click.command("import")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@out_option("The RUN to write.")
@image_size_option()
@click.option(
    "--labels",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Class names, one per line; by default those of COCO.",
)
@click.option("--force", is_flag=True, help="Replace --out if it exists.")
@json_option
@debug_option
def command(
    checkpoint: Path,
    out: Path,
    image_hw: tuple[int, int] | None,
    labels: Path | None,
    force: bool,
    json_target: str | None,
) -> None:
    """Turn a detector of another framework into a RUN.

    CHECKPOINT is a TensorFlow 2 checkpoint: its directory, or its path without .index. It is of SSD
    MobileNetV2 FPNLite of the TF2 Object Detection API, or of RetinaNet on MobileNetV2 of the Model
    Garden. Nothing is downloaded. The pipeline.config or params.yaml beside it tells the input
    size, unless --image-size is given.

    The RUN can be evaluated, quantised and exported, and be the start of a training with --init.
    Such a training needs the same model.wiring; the RUN's config.toml has it.

    Example: edge-retina import ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8/checkpoint --out
    runs/coco
    """
    from edge_retina.workflow.importing import import_detector, imported_lines

    record = import_detector(checkpoint, out, labels=labels, image_hw=image_hw, force=force)
    if json_target != STDOUT:
        for line in imported_lines(record, RunDirectory(out).load_config()):
            click.echo(line)
    emit_json(dict(vars(record)), json_target)
