"""`edge-retina doctor`."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from edge_retina.cli.configuration import with_seed
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
from edge_retina.cli.terminal import Block, show
from edge_retina.config import load_config
from edge_retina.errors import RunError
from edge_retina.progress import show_progress
from edge_retina.run_directory import RunDirectory

# Of the detectors that judge labels; they needn't be the best.
_LABEL_TRAININGS = ("train.steps=1000", "train.probe_images=0", "train.tensorboard=false")


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
    overrides = with_seed(overrides, seed)
    if labels and out is not None:
        report = _examine_labels(
            data, overrides, image_hw, out, folds=folds, with_page=html is not None
        )
    elif quantization:
        report = _examine_layers(run, overrides, method, pictures, ablate=ablate)
    elif is_run:
        report = _examine_run(
            run, overrides, prove=prove or 0, steps=proof_steps, with_page=html is not None
        )
    else:
        report = _examine_data(
            data, overrides, image_hw, html=html, write_config=write_config, fix=fix
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


class _Report(NamedTuple):
    """A diagnosis in every form that it can be asked for in; "" where it wasn't."""

    blocks: list[Block]
    document: dict[str, Any]
    page: str = ""
    config: str = ""
    review: str = ""


def _examine_labels(
    data: Path,
    overrides: Sequence[str],
    image_hw: tuple[int, int] | None,
    out: Path,
    *,
    folds: int,
    with_page: bool,
) -> _Report:
    """Judge a data set's labels by detectors that never saw them."""
    from edge_retina.doctor.data.checks.duplicates import look_alikes
    from edge_retina.doctor.data.survey import survey
    from edge_retina.doctor.labels.report import render_labels_page, review_file, suspects_blocks
    from edge_retina.workflow.label_check import check_labels

    path = f"data.path={json.dumps(str(data.resolve()))}"
    size = [f"model.image_hw={list(image_hw)}"] if image_hw is not None else []
    config = load_config(overrides=(path, *size, *_LABEL_TRAININGS, *overrides))
    found = check_labels(config, out, folds=folds, groups=look_alikes(survey(data, config)))
    document = found.to_dict()
    blocks = suspects_blocks(
        found.suspects,
        images=document["images"],
        objects=document["objects"],
        mAP50=found.mAP50,
    )
    page = ""
    if with_page:
        name = os.path.basename(os.path.abspath(data))
        page = render_labels_page(found.suspects, found.examples, name=name)
    tree = review_file(found.suspects, found.examples, found.dataset.labels)
    return _Report(blocks, document, page, review=json.dumps(tree))


def _examine_data(
    data: Path,
    overrides: Sequence[str],
    image_hw: tuple[int, int] | None,
    *,
    html: Path | None,
    write_config: Path | None,
    fix: Path | None,
) -> _Report:
    """Examine a data set, and mend what can be."""
    from edge_retina.doctor.data.advice.config_file import config_file
    from edge_retina.doctor.data.examine import examine
    from edge_retina.doctor.data.fixing import write_fixed_copy
    from edge_retina.doctor.data.report.page import render_page
    from edge_retina.doctor.data.report.text import text_blocks

    diagnosis = examine(data, image_hw=image_hw, config=load_config(overrides=overrides))
    page = render_page(diagnosis, links_from=html.parent) if html is not None else ""
    config = ""
    if write_config is not None:
        path = Path(os.path.relpath(data, write_config.parent)).as_posix()
        config = config_file(diagnosis.advice, diagnosis.survey.config, data_path=path)
    blocks, document = text_blocks(diagnosis), diagnosis.to_dict()
    if fix is not None:
        done = write_fixed_copy(diagnosis.survey, fix, layout="coco")
        blocks.append("\n".join([f"Corrected copy in {fix}:", *(f"  {line}" for line in done)]))
        document["fixed"] = {"path": str(fix), "done": done}
    return _Report(blocks, document, page, config)


def _examine_run(
    run: RunDirectory,
    overrides: Sequence[str],
    *,
    prove: int,
    steps: int,
    with_page: bool,
) -> _Report:
    """Say why a RUN's detector is poor, and prove it."""
    from edge_retina.doctor.run.diagnosis import diagnose
    from edge_retina.doctor.run.page import render_run_page
    from edge_retina.doctor.run.text import diagnosis_blocks, proofs_table
    from edge_retina.workflow.run_diagnosis import gather_evidence, int8_detections
    from edge_retina.workflow.run_proof import plan_proofs
    from edge_retina.workflow.run_proof import prove as measure

    with show_progress("examine") as progress:
        evidence = gather_evidence(run, overrides=overrides, progress=progress)
    diagnosis = diagnose(evidence)
    blocks = diagnosis_blocks(diagnosis)
    proofs = []
    if prove:
        plan = plan_proofs(diagnosis, count=prove, steps=steps)
        click.echo(plan.announcement, err=True)
        proofs = measure(diagnosis, plan, on_training=lambda text: click.echo(text, err=True))
        if proofs:
            blocks.append(proofs_table(proofs))
    page = ""
    if with_page:
        page = render_run_page(diagnosis, proofs=proofs, int8=int8_detections(run, evidence))
    document = {**diagnosis.to_dict(), "proofs": [proof.to_dict() for proof in proofs]}
    return _Report(blocks, document, page)


def _examine_layers(
    run: RunDirectory, overrides: Sequence[str], method: str | None, count: int, *, ablate: bool
) -> _Report:
    """Compare an int8 model with its float model, layer by layer."""
    from edge_retina.doctor.int8.page import render_quantization_page
    from edge_retina.doctor.int8.text import quantization_blocks
    from edge_retina.workflow.microscope import examine_quantization
    from edge_retina.workflow.prepare import open_run

    context = open_run(run, overrides=overrides, decode=False)
    data = context.data
    diagnosis = examine_quantization(
        context,
        method=method,
        images=[example.path for example in (data.val or data.train)[:count]],
        ablate=ablate,
    )
    if diagnosis is None:
        raise RunError(
            f"{run.root}: its int8 model has no quantised activations "
            f"({context.recipe.description}); there is nothing to compare"
        )
    page = render_quantization_page(diagnosis, name=context.config.name)
    return _Report(quantization_blocks(diagnosis), diagnosis.to_dict(), page)
