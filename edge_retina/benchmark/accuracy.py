"""mAP of the measured models: a property of a model and its backend, not of its threads."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_retina.benchmark.candidate import Candidate
from edge_retina.benchmark.runner import Runner
from edge_retina.datasets.schema import Example
from edge_retina.errors import ModelError
from edge_retina.evaluation.class_map import (
    ClassMap,
    keep_shared,
    map_classes,
    restrict,
    shared_places,
)
from edge_retina.evaluation.coco_metrics import CocoMetrics, check_objects, evaluate_detections
from edge_retina.evaluation.evaluator import check_labels
from edge_retina.evaluation.record import ModelKey


@dataclass(frozen=True)
class LabelledData:
    """Images to measure mAP on, and the class names of their labels."""

    examples: tuple[Example, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Accuracy:
    """The accuracy of a model with a backend.

    Attributes:
        metrics: of its detections, computed here.
        device: where the objects were found, as `--device` names it.
        note: why that is not the device asked for; "" if it is.
        classes: of another framework's model the classes that the metrics are over.
    """

    metrics: CocoMetrics
    device: str = "local"
    note: str = ""
    classes: ClassMap | None = None


def unmeasured(
    candidates: Sequence[Candidate], keys: Sequence[ModelKey], known: Container[ModelKey]
) -> list[Candidate]:
    """Return the candidates whose mAP isn't known; of those that differ in threads the first."""
    first: dict[tuple[Path, str], Candidate] = {}
    for candidate, key in zip(candidates, keys, strict=True):
        if key not in known:
            # Not by hash: equal files have other settings in another RUN or beside another manifest
            first.setdefault((candidate.path, candidate.backend), candidate)
    return list(first.values())


def measure_accuracy(
    candidates: Sequence[Candidate],
    data: LabelledData,
    *,
    runner: Runner,
    progress: Callable[[str], None],
) -> Iterator[tuple[tuple[Path, str], Accuracy]]:
    """Yield the accuracy of each (path, backend): objects are found on the device.

    Those of another framework's model are over the classes that it shares with the data.

    Args:
        candidates: each of another path or backend.
        data: labelled images.
        runner: the device.
        progress: told before each candidate.

    Raises:
        BenchmarkError: a model can't be opened there, an image can't be read, the device is gone.
        ModelError: a model's labels are not the data's, or another framework's model shares none
            of them.
        DatasetError: no image has an object.
    """
    check_objects(data.examples)  # before minutes of inference
    for candidate in candidates:
        progress(f"mAP of {candidate.model}, {candidate.backend}")
        yield (candidate.path, candidate.backend), _measure(candidate, data, runner)


def shared_classes(candidate: Candidate, data: LabelledData) -> ClassMap | None:
    """Return the classes that another framework's model shares with the data; None for our own.

    Raises:
        ModelError: there is none.
    """
    if candidate.foreign is None:
        return None
    try:
        return map_classes(data.labels, candidate.foreign.labels)
    except ModelError as error:
        raise ModelError(f"{candidate.path}: {error}") from None


def _measure(candidate: Candidate, data: LabelledData, runner: Runner) -> Accuracy:
    images = [example.path for example in data.examples]
    classes = shared_classes(candidate, data)
    expected = data.labels if candidate.foreign is None else candidate.foreign.labels
    found = runner.detect(candidate, candidate.detection_task(images, expected))
    check_labels(found.labels, expected)
    if classes is None:
        metrics = evaluate_detections(data.examples, found.detections, data.labels)
        return Accuracy(metrics, found.device, found.note)
    examples = restrict(data.examples, data.labels, classes.shared)
    places = shared_places(found.labels, classes.shared)
    kept = [keep_shared(item, places) for item in found.detections]
    metrics = evaluate_detections(examples, kept, classes.shared)
    return Accuracy(metrics, found.device, found.note, classes)
