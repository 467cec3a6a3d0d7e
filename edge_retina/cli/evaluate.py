"""`edge-retina evaluate`."""

from __future__ import annotations

from pathlib import Path

import click

from edge_retina.cli.data import skip_invalid_option, split_option
from edge_retina.cli.models import backend_option, foreign_options, threads_option
from edge_retina.cli.options import (
    STDOUT,
    debug_option,
    emit_json,
    emit_text,
    json_option,
    seed_option,
)
from edge_retina.cli.terminal import show
from edge_retina.runtime.foreign_settings import ForeignChoices


@click.command("evaluate")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@split_option
@threads_option
@backend_option
@foreign_options
@click.option(
    "--errors",
    is_flag=True,
    help="Say where the mAP is lost: by kind of error, object, class and score.",
)
@click.option(
    "--html",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="With --errors: write all of it as a page with charts.",
)
@click.option(
    "--against",
    metavar="MODEL",
    type=click.Path(path_type=Path),
    help="Another model with the same classes: measure it too, and say whether they differ.",
)
@skip_invalid_option
@json_option
@seed_option
@debug_option
def command(
    model: Path,
    data: Path,
    split: str,
    threads: int,
    backend: str,
    foreign: ForeignChoices,
    errors: bool,
    html: Path | None,
    against: Path | None,
    skip_invalid: bool,
    json_target: str | None,
    seed: int | None,
) -> None:
    """Measure COCO metrics of MODEL on DATA, with their 95 % intervals.

    MODEL is a run directory, a .tflite file or an export directory (its int8 file is used). DATA
    is a data set in a standard layout. --seed is for splitting data without splits, and for the
    resamples of the pictures that give the intervals. Of another framework's .tflite file, such as
    a YOLO, the classes are measured that it shares with DATA: see docs/foreign.md.

    Example: edge-retina evaluate runs/demo/export data/bccd --split test --json metrics.json

    edge-retina evaluate runs/mine data/bccd --split val --errors --html errors.html

    edge-retina evaluate a/a_int8.tflite data/bccd --against a/a_float32.tflite
    """
    if html is not None and not errors:
        raise click.UsageError("--html goes with --errors")
    from edge_retina.workflow.evaluating import evaluate_model

    found = evaluate_model(
        model,
        data,
        split=split,
        threads=threads,
        backend=backend,
        foreign=foreign,
        errors=errors,
        against=against,
        skip_invalid=skip_invalid,
        seed=seed,
    )
    page = found.page() if html is not None else ""
    if json_target != STDOUT:
        show(*found.blocks())
    if html is not None:
        emit_text("--html", html, page)
    emit_json(found.to_dict(), json_target)
