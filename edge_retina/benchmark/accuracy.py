"""mAP of the measured models: a property of a model and its backend, not of its threads."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_retina.benchmark.backends import open_model
from edge_retina.benchmark.candidate import Candidate
from edge_retina.datasets.schema import Example
from edge_retina.errors import ModelError
from edge_retina.evaluation.class_map import ClassMap, MappedPredictor, map_classes, restrict
from edge_retina.evaluation.coco_metrics import CocoMetrics
from edge_retina.evaluation.evaluator import evaluate
from edge_retina.evaluation.record import ModelKey


@dataclass(frozen=True)
class LabelledData:
    """Images to measure mAP on, and the class names of their labels."""

    examples: tuple[Example, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Accuracy:
    """COCO metrics of a model, and for another framework's the classes that they are over."""

    metrics: CocoMetrics
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
    progress: Callable[[str], None],
) -> dict[tuple[Path, str], Accuracy]:
    """Return COCO metrics by (path, backend), measured in this process.

    Those of another framework's model are over the classes that it shares with the data.

    Args:
        candidates: each of another path or backend.
        data: labelled images.
        progress: told before each candidate.

    Raises:
        ModelError: a model can't be opened, or its labels are not the data's, or another
            framework's model shares none of them.
        DatasetError: an image can't be read.
    """
    accuracy = {}
    for candidate in candidates:
        progress(f"mAP of {candidate.model}, {candidate.backend}")
        accuracy[candidate.path, candidate.backend] = _measure(candidate, data)
    return accuracy


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


def _measure(candidate: Candidate, data: LabelledData) -> Accuracy:
    predictor = open_model(
        candidate.path, candidate.backend, threads=candidate.threads, foreign=candidate.foreign
    )
    classes = shared_classes(candidate, data)
    if classes is None:
        metrics, _ = evaluate(predictor, data.examples, labels=data.labels)
        return Accuracy(metrics)
    examples = restrict(data.examples, data.labels, classes.shared)
    mapped = MappedPredictor(predictor, classes.shared)
    metrics, _ = evaluate(mapped, examples, labels=classes.shared)
    return Accuracy(metrics, classes)
