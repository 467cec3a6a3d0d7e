"""`edge-retina doctor`."""

from __future__ import annotations

from pathlib import Path

import click

from edge_retina.cli.options import (
    STDOUT,
    debug_option,
    emit_json,
    emit_text,
    image_size_option,
    json_option,
    seed_option,
    set_option,
)
from edge_retina.cli.terminal import show
from edge_retina.run_directory import RunDirectory
from edge_retina.workflow.configuration import with_seed


@click.command("doctor")
@click.argument("data", metavar="DATA|RUN", type=click.Path(path_type=Path))
@image_size_option()
@click.option(
    "--html",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the findings as a page with pictures and charts.",
)
@click.option(
    "--write-config",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the advice as a config file that 'edge-retina run' takes, with its reasons.",
)
@click.option(
    "--quantization",
    is_flag=True,
    help="Examine the int8 model of RUN layer by layer, on pictures of its validation split.",
)
@click.option(
    "--method",
    type=click.Choice(["qat", "ptq"]),
    help="With --quantization: which of RUN's int8 models; by default the one of its config.",
)
@click.option(
    "--pictures",
    type=click.IntRange(1),
    default=16,
    show_default=True,
    help="With --quantization: how many pictures to use.",
)
@click.option(
    "--ablate",
    is_flag=True,
    help="With --quantization: also keep each layer in float in turn; takes a minute or more.",
)
@click.option(
    "--fix",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="With DATA: write a copy in which everything is corrected that needs no eyes, as COCO.",
)
@click.option(
    "--labels",
    is_flag=True,
    help="With DATA: train detectors on parts of it, and list labels that they "
    "disagree with. Each takes 1,000 steps (--set train.steps).",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="With --labels: for the trainings, which go on there after an interruption.",
)
@click.option(
    "--folds",
    type=click.IntRange(2, 20),
    default=3,
    show_default=True,
    help="With --labels: how many detectors; each judges the pictures it wasn't trained on.",
)
@click.option(
    "--review",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="With --labels: write the annotations as COCO JSON with the suspects marked.",
)
@click.option(
    "--prove",
    is_flag=False,
    flag_value=1,
    type=click.IntRange(1),
    metavar="[N]",
    help="With RUN: mend the first N suspected causes, one at a time, in short trainings, and "
    "measure the gain; by default the first one.",
)
@click.option(
    "--proof-steps",
    type=click.IntRange(20),
    default=300,
    show_default=True,
    help="With --prove: length of each training.",
)
@set_option
@json_option
@seed_option
@debug_option
def command(
    data: Path,
    image_hw: tuple[int, int] | None,
    html: Path | None,
    write_config: Path | None,
    quantization: bool,
    method: str | None,
    pictures: int,
    ablate: bool,
    fix: Path | None,
    labels: bool,
    out: Path | None,
    folds: int,
    review: Path | None,
    prove: int | None,
    proof_steps: int,
    overrides: tuple[str, ...],
    json_target: str | None,
    seed: int | None,
) -> None:
    """Find problems in DATA, or say why the detector in RUN is poor.

    DATA: measures how well anchors cover the objects, and advises on the config. With --labels:
    lists missing boxes, wrong classes and bad boxes, which takes some trainings.

    RUN: ranks the causes that its training log, its labels and its detections point to, with what
    each may cost and the command that mends it. With --quantization: the layers that int8 hurts.

    Errors stop or spoil training, warnings cost accuracy or make a metric wrong, notes are worth
    knowing. The exit code is 0 whatever is found.

    Examples: edge-retina doctor data/bccd --image-size 320 --html doctor.html

    edge-retina doctor data/bccd --labels --out labels --html labels.html

    edge-retina doctor runs/mine --prove 2 --html doctor.html

    edge-retina doctor runs/mine --quantization --ablate
    """
    run = RunDirectory(data)
    is_run = run.config_file.is_file()
    if write_config is not None and (is_run or quantization):
        raise click.UsageError("--write-config goes with DATA, not with RUN")
    if prove and (quantization or not is_run):
        raise click.UsageError("--prove goes with a RUN, without --quantization")
    if fix is not None and (is_run or quantization or labels):
        raise click.UsageError("--fix goes with DATA alone")
    if labels and (is_run or quantization or out is None or write_config is not None):
        raise click.UsageError("--labels goes with DATA and --out DIR, without --write-config")
    if not labels and (out is not None or review is not None):
        raise click.UsageError("--out and --review go with --labels")
    from edge_retina.workflow.examination import (
        examine_data,
        examine_labels,
        examine_layers,
        examine_run,
    )

    overrides = with_seed(overrides, seed)
    if labels and out is not None:
        report = examine_labels(
            data,
            out,
            overrides=overrides,
            image_hw=image_hw,
            folds=folds,
            with_page=html is not None,
        )
    elif quantization:
        report = examine_layers(
            run,
            overrides=overrides,
            method=method,
            pictures=pictures,
            ablate=ablate,
            links_from=html and html.parent,
        )
    elif is_run:
        report = examine_run(
            run,
            overrides=overrides,
            prove=prove or 0,
            steps=proof_steps,
            with_page=html is not None,
            links_from=html and html.parent,
            announce=lambda text: click.echo(text, err=True),
        )
    else:
        report = examine_data(
            data,
            overrides=overrides,
            image_hw=image_hw,
            html=html,
            write_config=write_config,
            fix=fix,
        )
    if json_target != STDOUT:
        show(*report.blocks)
    for option, target, text in (
        ("--html", html, report.page),
        ("--write-config", write_config, report.config),
        ("--review", review, report.review),
    ):
        if target is not None:
            emit_text(option, target, text)
    emit_json(report.document, json_target)
