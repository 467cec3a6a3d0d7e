"""mAP of the measured models: a property of a model and its backend, not of its threads."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_retina.benchmark.candidate import Candidate
from edge_retina.benchmark.runner import Runner
from edge_retina.datasets.schema import Example, annotations_sha256
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
from edge_retina.evaluation.intervals import Interval, corrected_interval, mAP_resamples
from edge_retina.evaluation.matches import find_matches
from edge_retina.evaluation.record import ModelKey
from edge_retina.runtime.detections import Detections


@dataclass(frozen=True)
class LabelledData:
    """Images to measure mAP on.

    Attributes:
        examples: the images.
        labels: the class names of their labels.
        path, split: what the user calls them; "" where that isn't known.
    """

    examples: Sequence[Example]
    labels: tuple[str, ...]
    path: str = ""
    split: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return `data` in the JSON of `benchmark`."""
        return {
            "path": self.path,
            "split": self.split,
            "images": len(self.examples),
            "sha256": annotations_sha256(self.examples),
        }


@dataclass(frozen=True)
class Accuracy:
    """The accuracy of a model with a backend.

    Attributes:
        metrics: of its detections, computed here.
        device: where the objects were found, as `--device` names it.
        note: why that is not the device asked for; "" if it is.
        classes: of another framework's model the classes that the metrics are over.
        resampled: mAP of resamples of the images, see `mAP_resamples`; None if only the metrics are
            known.
        detections: of each image, of the classes that the metrics are over; none if only the
            metrics are known.
    """

    metrics: CocoMetrics
    device: str = "local"
    note: str = ""
    classes: ClassMap | None = None
    resampled: np.ndarray | None = None
    detections: tuple[Detections, ...] = ()

    @property
    def interval(self) -> Interval:
        """The mAP with its 95 % interval over the choice of the images."""
        value = self.metrics.mAP
        if self.resampled is None or self.metrics.images < 2:
            return Interval(value, None, None)
        return corrected_interval(value, self.resampled)


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
    examples, detections, labels = data.examples, found.detections, data.labels
    if classes is not None:
        examples, labels = restrict(examples, labels, classes.shared), classes.shared
        places = shared_places(found.labels, classes.shared)
        detections = tuple(keep_shared(item, places) for item in detections)
    return Accuracy(
        evaluate_detections(examples, detections, labels),
        found.device,
        found.note,
        classes,
        mAP_resamples(find_matches(examples, detections, labels)),
        detections,
    )
