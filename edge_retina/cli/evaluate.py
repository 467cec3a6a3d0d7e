"""`edge-retina evaluate`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_retina.cli.data import load_split, skip_invalid_option, split_option
from edge_retina.cli.models import (
    OpenedModel,
    backend_option,
    foreign_options,
    open_predictor,
    threads_option,
)
from edge_retina.cli.options import (
    STDOUT,
    debug_option,
    emit_json,
    emit_text,
    json_option,
    seed_option,
)
from edge_retina.cli.terminal import Block, show
from edge_retina.errors import ModelError
from edge_retina.progress import show_progress
from edge_retina.runtime.foreign_settings import LETTERBOX, ForeignChoices

if TYPE_CHECKING:
    from edge_retina.datasets.schema import Example
    from edge_retina.evaluation.assignment import Assignment
    from edge_retina.evaluation.class_map import ClassMap
    from edge_retina.evaluation.errors.analysis import ErrorAnalysis
    from edge_retina.evaluation.intervals import MetricIntervals
    from edge_retina.evaluation.matches import Matches
    from edge_retina.report.tables import Table
    from edge_retina.runtime.detections import Detections


@dataclass(frozen=True)
class _Split:
    """The pictures to measure on, and how DATA names them.

    Attributes:
        examples, labels: what is measured: of another framework's model, the classes it shares.
        data, name: as the user named data set and split.
        whole: the pictures with all of their objects.
    """

    examples: tuple[Example, ...]
    labels: tuple[str, ...]
    data: Path
    name: str
    whole: tuple[Example, ...]


@dataclass(frozen=True)
class _Measured:
    """A model's result on a split; `luma` is the mean luma of each picture."""

    record: dict[str, Any]
    detections: list[Detections]
    assignment: Assignment
    matches: Matches
    intervals: MetricIntervals
    luma: list[float]


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
    from edge_retina.report.error_tables import differences_table

    if html is not None and not errors:
        raise click.UsageError("--html goes with --errors")
    examples, labels = load_split(data, split, skip_invalid=skip_invalid, seed=seed)
    chosen = _Split(examples, labels, data, split, examples)
    opened = open_predictor(model, threads=threads, backend=backend, choices=foreign)
    rival = None
    if against is not None:
        rival = _open_rival(
            against, chosen.labels, threads=threads, backend=backend, choices=foreign
        )
    models = [opened] if rival is None else [opened, rival]
    classes = _shared_classes(models, chosen.labels)
    if classes is not None:
        opened, *others = (_speaking_of(item, classes) for item in models)
        rival = others[0] if others else None
        chosen = _restricted(chosen, classes)
    measured = _measure(opened, chosen, "evaluate", seed or 0)
    record = measured.record
    blocks: list[Block] = []
    if classes is not None:
        record["classes"] = classes.to_dict()
        blocks.append(str(classes))
    comparison: Table | None = None
    if rival is not None:
        other = _measure(rival, chosen, "against", seed or 0)
        difference = _differences(measured, other, chosen.labels)
        record["against"] = {**other.record, "difference": difference.differences_to_dict()}
        comparison = differences_table(
            measured.intervals, other.intervals, difference, title=f"{model} against {against}"
        )
        blocks.append(comparison)
    page = ""
    if errors:
        analysis = _analyse(model, opened, measured, chosen)
        record["errors"] = analysis.to_dict()
        blocks += _error_blocks(analysis)
        if html is not None:
            page = _page(measured, analysis, comparison, str(against))
    if json_target != STDOUT:
        show(_table(record, measured.intervals), *blocks)
    if html is not None:
        emit_text("--html", html, page)
    emit_json(record, json_target)


def _shared_classes(models: Sequence[OpenedModel], labels: Sequence[str]) -> ClassMap | None:
    """Return the classes to measure; None if no model is another framework's."""
    from edge_retina.evaluation.class_map import map_classes
    from edge_retina.evaluation.evaluator import check_labels

    if not any(item.foreign for item in models):
        return None
    for item in models:
        if item.foreign is None:
            check_labels(item.predictor.labels, labels)
    return map_classes(labels, *(item.predictor.labels for item in models))


def _speaking_of(opened: OpenedModel, classes: ClassMap) -> OpenedModel:
    from edge_retina.evaluation.class_map import MappedPredictor

    predictor = MappedPredictor(opened.predictor, classes.shared)
    return dataclasses.replace(opened, predictor=predictor)


def _restricted(split: _Split, classes: ClassMap) -> _Split:
    from edge_retina.evaluation.class_map import restrict

    examples = restrict(split.examples, split.labels, classes.shared)
    return dataclasses.replace(split, examples=examples, labels=classes.shared)


def _open_rival(
    model: Path,
    labels: Sequence[str],
    *,
    threads: int,
    backend: str,
    choices: ForeignChoices,
) -> OpenedModel:
    """Open the model to compare with, and check its classes before anything is measured."""
    from edge_retina.evaluation.evaluator import check_labels

    opened = open_predictor(
        model, threads=threads, backend=backend, choices=choices, spare_exports=True
    )
    if opened.foreign is not None:
        return opened
    try:
        check_labels(opened.predictor.labels, labels)
    except ModelError as error:
        raise ModelError(f"--against {model}: {error}") from None
    return opened


def _measure(opened: OpenedModel, split: _Split, title: str, seed: int) -> _Measured:
    from edge_retina.evaluation.assignment import assign_detections
    from edge_retina.evaluation.errors.traits import BrightnessMeter
    from edge_retina.evaluation.evaluator import evaluate
    from edge_retina.evaluation.intervals import metric_intervals
    from edge_retina.evaluation.matches import select_matches
    from edge_retina.evaluation.record import evaluation_record

    examples, labels = split.examples, split.labels
    meter = BrightnessMeter(opened.predictor)
    with show_progress(title, len(examples)) as progress:
        metrics, detections = evaluate(meter, examples, labels=labels, progress=progress)
    assignment = assign_detections(examples, detections, labels)
    matches = select_matches(assignment)
    intervals = metric_intervals(matches, labels, seed=seed)
    record = evaluation_record(
        metrics,
        model_file=opened.file,
        backend=opened.backend,
        data_path=split.data,
        split=split.name,
        examples=split.whole,
    )
    if opened.foreign is not None:
        record["model"]["form"] = opened.foreign.summary
    record["intervals"] = intervals.to_dict()
    return _Measured(record, detections, assignment, matches, intervals, meter.luma)


def _differences(one: _Measured, other: _Measured, labels: Sequence[str]) -> MetricIntervals:
    from edge_retina.evaluation.intervals import metric_differences

    return metric_differences(one.matches, other.matches, labels, seed=one.intervals.seed)


def _analyse(model: Path, opened: OpenedModel, measured: _Measured, split: _Split) -> ErrorAnalysis:
    from edge_retina.benchmark.backends import KERAS
    from edge_retina.evaluation.errors.analysis import analyse_errors
    from edge_retina.run_directory import RunDirectory

    return analyse_errors(
        split.examples,
        measured.detections,
        split.labels,
        input_hw=_stretched_to(opened),
        luma=measured.luma,
        anchors=RunDirectory(model).load_anchors() if opened.backend == KERAS else None,
        assignment=measured.assignment,
    )


def _stretched_to(opened: OpenedModel) -> tuple[int, int] | None:
    """Return the size at which the network sees all of a picture; None with borders around it."""
    if opened.foreign is not None and opened.foreign.resize == LETTERBOX:
        return None
    return getattr(opened.predictor, "input_hw", None)


def _error_blocks(analysis: ErrorAnalysis) -> list[Block]:
    from edge_retina.report import error_tables as tables

    return [
        tables.gains_table(analysis.gains),
        tables.worst_slices_table(analysis),
        tables.mistakes_table(analysis),
        tables.operating_points_table(analysis),
        tables.calibration_text(analysis),
    ]


def _page(
    measured: _Measured, analysis: ErrorAnalysis, comparison: Table | None, other: str
) -> str:
    from edge_retina.report.evaluation_page import render_evaluation_page

    return render_evaluation_page(
        measured.record, measured.intervals, analysis, comparison=comparison, other=other
    )


def _table(record: dict[str, Any], intervals: MetricIntervals) -> str:
    from edge_retina.report.error_tables import interval_text

    figures = {name: value for name, value in record.items() if not isinstance(value, dict)}
    by_class = {f"AP {label}": value for label, value in record["per_class"].items()}
    ranges = {f"{name} 95 % interval": interval_text(item) for name, item in intervals.items()}
    rows = [*figures.items(), *by_class.items(), *ranges.items()]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {_cell(value)}" for name, value in rows)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
