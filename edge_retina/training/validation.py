"""How a model in training does on the validation split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.config import ExportConfig
from edge_retina.datasets.schema import Example
from edge_retina.evaluation.coco_metrics import CocoMetrics
from edge_retina.evaluation.errors.tide import error_gains, error_table
from edge_retina.evaluation.evaluator import evaluate
from edge_retina.evaluation.matches import find_matches
from edge_retina.model.keras import keras
from edge_retina.model.predictor import KerasPredictor
from edge_retina.training.selection import EvaluatedState


class Validation:
    """Measures one model again and again; its graph is traced once.

    Attributes:
        errors: mAP50 that each kind of error costs, at the last measurement; see `errors.tide`.
    """

    def __init__(
        self,
        model: keras.Model,
        examples: Sequence[Example],
        *,
        labels: tuple[str, ...],
        anchors: AnchorGrid,
        export: ExportConfig,
    ) -> None:
        """Take what to measure.

        Args:
            model: measured with the weights that it has at the time.
            examples: the validation split.
            labels: class names by index.
            anchors: of the model.
            export: how its outputs become detections.
        """
        self._predictor = KerasPredictor(model, anchors=anchors, labels=labels, export=export)
        self._examples, self._labels = examples, labels
        self.errors: dict[str, float] = {}

    def measure(self, step: int, weights: Any) -> tuple[CocoMetrics, EvaluatedState]:
        """Return the metrics, and the state for a `StateSelection`.

        Args:
            step: number of steps done.
            weights: what brings the state back.
        """
        metrics, detections = evaluate(self._predictor, self._examples, labels=self._labels)
        matches = find_matches(self._examples, detections, self._labels)
        table = error_table(self._examples, detections, classes=len(self._labels))
        self.errors = error_gains(table).gains
        return metrics, EvaluatedState(step, metrics.mAP, matches, weights)
