"""What `doctor` finds: in a data set, its labels, a RUN, or the layers of an int8 model."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_retina.config import load_config
from edge_retina.doctor.data.advice.config_file import config_file
from edge_retina.doctor.data.checks.duplicates import look_alikes
from edge_retina.doctor.data.examine import examine
from edge_retina.doctor.data.fixing import write_fixed_copy
from edge_retina.doctor.data.report.page import render_page
from edge_retina.doctor.data.report.text import text_blocks
from edge_retina.doctor.data.survey import survey
from edge_retina.doctor.int8.page import render_quantization_page
from edge_retina.doctor.int8.text import quantization_blocks
from edge_retina.doctor.labels.report import render_labels_page, review_file, suspects_blocks
from edge_retina.doctor.run.diagnosis import diagnose
from edge_retina.doctor.run.page import render_run_page
from edge_retina.doctor.run.text import diagnosis_blocks, proofs_table
from edge_retina.errors import RunError
from edge_retina.progress import show_progress
from edge_retina.report.plain_text import Block, plain_text
from edge_retina.run_directory import RunDirectory
from edge_retina.workflow.label_check import check_labels
from edge_retina.workflow.microscope import examine_quantization
from edge_retina.workflow.prepare import open_run
from edge_retina.workflow.run_diagnosis import gather_evidence, int8_detections
from edge_retina.workflow.run_proof import plan_proofs
from edge_retina.workflow.run_proof import prove as measure

log = logging.getLogger(__name__)

# Of the detectors that judge labels; they needn't be the best.
_LABEL_TRAININGS = ("train.steps=1000", "train.probe_images=0", "train.tensorboard=false")


@dataclass(frozen=True)
class Examination:
    """A diagnosis in every form that it can be asked for in; "" where it wasn't.

    Attributes:
        document: what `edge-retina doctor --json` writes.
        blocks: the texts and tables that the command prints.
        page: HTML, with pictures and charts.
        config: the advice as a config file, with its reasons.
        review: the annotations as COCO JSON, with suspect labels marked.
    """

    document: dict[str, Any]
    blocks: list[Block] = field(repr=False)
    page: str = field(default="", repr=False)
    config: str = field(default="", repr=False)
    review: str = field(default="", repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return what `edge-retina doctor --json` writes."""
        return self.document

    def __str__(self) -> str:
        return plain_text(*self.blocks)


def examine_data(
    data: Path,
    *,
    preset: str | None = None,
    overrides: Sequence[str] = (),
    image_hw: tuple[int, int] | None = None,
    html: Path | None = None,
    write_config: Path | None = None,
    config_by: str = "doctor",
    fix: Path | None = None,
) -> Examination:
    """Examine a data set, and mend what can be.

    Args:
        data: the data set.
        preset: whose settings it starts from; None for the defaults.
        overrides: `section.field=value` texts.
        image_hw: (height, width) of the network's input; None for the config's.
        html: where the page will lie, for its links; None for no page.
        write_config: where the config will lie, for its paths; None for no config.
        config_by: the command that writes it, for its first line.
        fix: directory for a corrected copy; None for none.

    Raises:
        DatasetError: there is no data set, or `fix` can't be written.
        ConfigError: no such preset, or an override names no field or a value that is not allowed.
    """
    config = load_config(preset=preset, overrides=overrides)
    diagnosis = examine(data, image_hw=image_hw, config=config)
    page = render_page(diagnosis, links_from=html.parent) if html is not None else ""
    advised = ""
    if write_config is not None:
        path = Path(os.path.relpath(data, write_config.parent)).as_posix()
        advised = config_file(
            diagnosis.advice, diagnosis.survey.config, data_path=path, command=config_by
        )
    blocks, document = text_blocks(diagnosis), diagnosis.to_dict()
    if fix is not None:
        done = write_fixed_copy(diagnosis.survey, fix, layout="coco")
        blocks.append("\n".join([f"Corrected copy in {fix}:", *(f"  {line}" for line in done)]))
        document["fixed"] = {"path": str(fix), "done": done}
    return Examination(document, blocks, page, advised)


def examine_labels(
    data: Path,
    out: Path,
    *,
    overrides: Sequence[str] = (),
    image_hw: tuple[int, int] | None = None,
    folds: int = 3,
    with_page: bool = False,
) -> Examination:
    """Judge a data set's labels by detectors that never saw them.

    Args:
        data: the data set.
        out: directory for the trainings, which go on there after an interruption.
        overrides: `section.field=value` texts.
        image_hw: (height, width) of the networks' input; None for the config's.
        folds: how many detectors; each judges the pictures it wasn't trained on.
        with_page: make the HTML page too.

    Raises:
        DatasetError: the data set can't be used.
        ConfigError: an override names no field, or a value that is not allowed.
    """
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
    return Examination(document, blocks, page, review=json.dumps(tree))


def examine_run(
    run: RunDirectory,
    *,
    overrides: Sequence[str] = (),
    prove: int = 0,
    steps: int = 300,
    with_page: bool = False,
    links_from: Path | None = None,
    announce: Callable[[str], None] = log.info,
) -> Examination:
    """Say why a RUN's detector is poor, and prove it.

    Args:
        run: finished or not.
        overrides: `section.field=value`, such as `data.path` where the data have moved.
        prove: mend so many of the suspected causes, one at a time, in short trainings.
        steps: of each of these trainings.
        with_page: make the HTML page too.
        links_from: the directory the page will lie in; without it, nothing is linked.
        announce: told how long the proofs take and what comes next.

    Raises:
        RunError: not a RUN at all.
        ConfigError: an override names no field, or a value that is not allowed.
    """
    with show_progress("examine") as progress:
        evidence = gather_evidence(run, overrides=overrides, progress=progress)
    diagnosis = diagnose(evidence)
    blocks = diagnosis_blocks(diagnosis)
    proofs = []
    if prove:
        plan = plan_proofs(diagnosis, count=prove, steps=steps)
        announce(plan.announcement)
        proofs = measure(diagnosis, plan, on_training=announce)
        if proofs:
            blocks.append(proofs_table(proofs))
    page = ""
    if with_page:
        page = render_run_page(
            diagnosis,
            proofs=proofs,
            int8=int8_detections(run, evidence),
            links_from=links_from,
        )
    document = {**diagnosis.to_dict(), "proofs": [proof.to_dict() for proof in proofs]}
    return Examination(document, blocks, page)


def examine_layers(
    run: RunDirectory,
    *,
    overrides: Sequence[str] = (),
    method: str | None = None,
    pictures: int = 16,
    ablate: bool = False,
    links_from: Path | None = None,
) -> Examination:
    """Compare an int8 model with its float model, layer by layer.

    Args:
        run: trained and quantised.
        overrides: of fields that a trained model doesn't depend on.
        method: "ptq" or "qat"; None for the one of its config.
        pictures: how many of its validation split to use.
        ablate: also keep each layer in float in turn.
        links_from: the directory the page will lie in; without it, nothing is linked.

    Raises:
        RunError: not trained, not quantised, or without quantised activations.
        ConfigError: an override names no field, or a value that is not allowed.
    """
    context = open_run(run, overrides=overrides, decode=False)
    data = context.data
    diagnosis = examine_quantization(
        context,
        method=method,
        images=[example.path for example in (data.val or data.train)[:pictures]],
        ablate=ablate,
    )
    if diagnosis is None:
        raise RunError(
            f"{run.root}: its int8 model has no quantised activations "
            f"({context.recipe.description}); there is nothing to compare"
        )
    page = render_quantization_page(diagnosis, name=context.config.name, links_from=links_from)
    return Examination(diagnosis.to_dict(), quantization_blocks(diagnosis), page)
