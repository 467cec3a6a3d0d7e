"""mAP of the measured models: a property of a model and its backend, not of its threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_retina.benchmark.backends import open_model
from edge_retina.benchmark.candidate import Candidate
from edge_retina.datasets.schema import Example
from edge_retina.evaluation.coco_metrics import CocoMetrics
from edge_retina.evaluation.evaluator import evaluate


@dataclass(frozen=True)
class LabelledData:
    """Pictures to measure mAP on, and the class names of their labels."""

    examples: tuple[Example, ...]
    labels: tuple[str, ...]


def measure_accuracy(
    candidates: Sequence[Candidate],
    data: LabelledData,
    *,
    progress: Callable[[str], None],
) -> dict[tuple[Path, str], CocoMetrics]:
    """Return COCO metrics by (model file, backend), each measured once, in this process.

    Args:
        candidates: the first of those that differ in threads only is taken.
        data: labelled pictures.
        progress: told before each model.

    Raises:
        ModelError: a model can't be opened, or its labels are not the data's.
        DatasetError: a picture can't be read.
    """
    metrics: dict[tuple[Path, str], CocoMetrics] = {}
    for candidate in candidates:
        key = (candidate.file, candidate.backend)
        if key not in metrics:
            progress(f"mAP of {candidate.model}, {candidate.backend}")
            predictor = open_model(candidate.path, candidate.backend, threads=candidate.threads)
            metrics[key], _ = evaluate(predictor, data.examples, labels=data.labels)
    return metrics
