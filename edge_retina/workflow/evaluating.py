"""One model measured on a split: metrics, intervals, errors, and the difference from another."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_retina.benchmark.backends import KERAS
from edge_retina.datasets.schema import Dataset, Example
from edge_retina.errors import ModelError
from edge_retina.evaluation.assignment import Assignment, assign_detections
from edge_retina.evaluation.class_map import ClassMap, MappedPredictor, map_classes, restrict
from edge_retina.evaluation.errors.analysis import ErrorAnalysis, analyse_errors
from edge_retina.evaluation.errors.traits import BrightnessMeter
from edge_retina.evaluation.evaluator import check_labels, evaluate
from edge_retina.evaluation.intervals import MetricIntervals, metric_differences, metric_intervals
from edge_retina.evaluation.matches import Matches, select_matches
from edge_retina.evaluation.record import evaluation_record
from edge_retina.progress import show_progress
from edge_retina.report import error_tables as tables
from edge_retina.report.evaluation_page import render_evaluation_page
from edge_retina.report.plain_text import Block, plain_text
from edge_retina.report.tables import Table
from edge_retina.run_directory import RunDirectory
from edge_retina.runtime.detections import Detections
from edge_retina.runtime.foreign_settings import LETTERBOX, ForeignChoices
from edge_retina.workflow.measured_data import data_path, load_split
from edge_retina.workflow.opening import OpenedModel, open_predictor


@dataclass(frozen=True)
class Evaluation:
    """What a model reaches on a split.

    Attributes:
        document: what `edge-retina evaluate --json` writes.
        detections: what was found in each image, in the order of the split.
        intervals: 95 % intervals of the metrics over the choice of the images.
        classes: the classes measured; None for models of this package, which have all of them.
        analysis: where the mAP is lost; None if it wasn't asked for.
        comparison: the table of differences from another model; None without one.
        against: that model as the user named it; "" without one.
    """

    document: dict[str, Any]
    detections: tuple[Detections, ...]
    intervals: MetricIntervals
    classes: ClassMap | None = None
    analysis: ErrorAnalysis | None = None
    comparison: Table | None = None
    against: str = ""

    @property
    def mAP(self) -> float | None:
        """COCO mAP, 0..1; None if there are no objects."""
        return self._figure("mAP")

    @property
    def mAP50(self) -> float | None:
        """MAP at IoU 0.5, 0..1; None if there are no objects."""
        return self._figure("mAP50")

    @property
    def per_class(self) -> dict[str, float | None]:
        """AP by class name; None for a class without objects."""
        return dict(self.document["per_class"])

    def _figure(self, name: str) -> float | None:
        value: float | None = self.document[name]
        return value

    def to_dict(self) -> dict[str, Any]:
        """Return the document that `edge-retina evaluate --json` writes."""
        return self.document

    def blocks(self) -> list[Block]:
        """Return the texts and tables that the command prints."""
        found: list[Block] = [_figures_text(self.document, self.intervals)]
        if self.classes is not None:
            found.append(str(self.classes))
        if self.comparison is not None:
            found.append(self.comparison)
        if self.analysis is not None:
            found += [
                tables.gains_table(self.analysis.gains),
                tables.worst_slices_table(self.analysis),
                tables.mistakes_table(self.analysis),
                tables.operating_points_table(self.analysis),
                tables.calibration_text(self.analysis),
            ]
        return found

    def page(self) -> str:
        """Return the analysis as an HTML page with charts.

        Raises:
            ModelError: the errors were not analysed.
        """
        if self.analysis is None:
            raise ModelError("the page shows the errors; evaluate with errors=True")
        return render_evaluation_page(
            self.document,
            self.intervals,
            self.analysis,
            comparison=self.comparison,
            other=self.against,
        )

    def __str__(self) -> str:
        return plain_text(*self.blocks())


@dataclass(frozen=True)
class _Split:
    """The pictures to measure on, and how DATA names them.

    Attributes:
        examples, labels: what is measured: of another framework's model, the classes it shares.
        data, name: as the user named data set and split.
        whole: the pictures with all of their objects.
    """

    examples: Sequence[Example]
    labels: tuple[str, ...]
    data: Path
    name: str
    whole: Sequence[Example]


@dataclass(frozen=True)
class _Measured:
    """A model's result on a split; `luma` is the mean luma of each picture."""

    record: dict[str, Any]
    detections: list[Detections]
    assignment: Assignment
    matches: Matches
    intervals: MetricIntervals
    luma: list[float]


def evaluate_model(
    model: Path,
    data: Path | str | Dataset,
    *,
    split: str = "test",
    threads: int = 1,
    backend: str = "xnnpack",
    foreign: ForeignChoices | None = None,
    errors: bool = False,
    against: Path | None = None,
    skip_invalid: bool = False,
    seed: int | None = None,
) -> Evaluation:
    """Measure COCO metrics of a model on a split, with their 95 % intervals.

    Args:
        model: a RUN, a .tflite file or an export directory.
        data: a data set, or where it is.
        split: name of the split.
        threads: of a .tflite model's interpreter.
        backend: a key of `opening.TFLITE_BACKENDS`.
        foreign: what the user says of another framework's file.
        errors: say where the mAP is lost.
        against: another model with the same classes, to be measured too.
        skip_invalid: leave invalid images and boxes out.
        seed: of a split by image names and of the intervals' resamples; None for 0.

    Raises:
        DatasetError: the data set can't be read, or has no such split.
        ModelError, RunError: a model can't be opened, or has other classes.
    """
    foreign = foreign or ForeignChoices()
    examples, labels = load_split(data, split, skip_invalid=skip_invalid, seed=seed)
    chosen = _Split(examples, labels, data_path(data), split, examples)
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
    if classes is not None:
        record["classes"] = classes.to_dict()
    comparison: Table | None = None
    if rival is not None:
        other = _measure(rival, chosen, "against", seed or 0)
        difference = metric_differences(
            measured.matches, other.matches, chosen.labels, seed=measured.intervals.seed
        )
        record["against"] = {**other.record, "difference": difference.differences_to_dict()}
        comparison = tables.differences_table(
            measured.intervals, other.intervals, difference, title=f"{model} against {against}"
        )
    analysis = None
    if errors:
        analysis = _analyse(model, opened, measured, chosen)
        record["errors"] = analysis.to_dict()
    return Evaluation(
        document=record,
        detections=tuple(measured.detections),
        intervals=measured.intervals,
        classes=classes,
        analysis=analysis,
        comparison=comparison,
        against="" if against is None else str(against),
    )


def _shared_classes(models: Sequence[OpenedModel], labels: Sequence[str]) -> ClassMap | None:
    """Return the classes to measure; None if no model is another framework's."""
    if not any(item.foreign for item in models):
        return None
    for item in models:
        if item.foreign is None:
            check_labels(item.predictor.labels, labels)
    return map_classes(labels, *(item.predictor.labels for item in models))


def _speaking_of(opened: OpenedModel, classes: ClassMap) -> OpenedModel:
    predictor = MappedPredictor(opened.predictor, classes.shared)
    return dataclasses.replace(opened, predictor=predictor)


def _restricted(split: _Split, classes: ClassMap) -> _Split:
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


def _analyse(model: Path, opened: OpenedModel, measured: _Measured, split: _Split) -> ErrorAnalysis:
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


def _figures_text(record: dict[str, Any], intervals: MetricIntervals) -> str:
    figures = {name: value for name, value in record.items() if not isinstance(value, dict)}
    by_class = {f"AP {label}": value for label, value in record["per_class"].items()}
    ranges = {
        f"{name} 95 % interval": tables.interval_text(item) for name, item in intervals.items()
    }
    rows = [*figures.items(), *by_class.items(), *ranges.items()]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {_cell(value)}" for name, value in rows)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
