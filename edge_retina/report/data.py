"""What a report shows, before it is a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edge_retina.int8.layer_error import LayerError
from edge_retina.report.metrics_log import AccuracyPoint, LossPoint


@dataclass(frozen=True)
class AccuracyRow:
    """COCO metrics of one variant of the model; fractions of 1, None where undefined.

    Attributes:
        name: e.g. "float Keras" or "int8 QAT".
        per_class: AP by label.
    """

    name: str
    mAP: float | None
    mAP50: float | None
    per_class: Mapping[str, float | None] = field(default_factory=dict)

    @classmethod
    def from_metrics(cls, name: str, metrics: Mapping[str, Any]) -> AccuracyRow:
        """Take the figures from the JSON of `evaluate`."""
        return cls(name, metrics["mAP"], metrics["mAP50"], metrics["per_class"])


@dataclass(frozen=True)
class LatencyRow:
    """One measured combination of model, backend and thread count; times in milliseconds."""

    model: str
    backend: str
    threads: int
    p50_ms: float
    p90_ms: float | None
    size_bytes: int
    precision: str = ""

    @classmethod
    def from_result(cls, result: Mapping[str, Any]) -> LatencyRow:
        """Take the figures from one of the `results` in the JSON of `benchmark`."""
        latency = result["latency_ms"]
        return cls(
            model=result["model"],
            backend=result["backend"],
            threads=result["threads"],
            # A program that keeps no single times may tell no median
            p50_ms=latency["mean"] if latency["p50"] is None else latency["p50"],
            p90_ms=latency["p90"],
            size_bytes=result["size_bytes"],
            precision=result["precision"],
        )


@dataclass(frozen=True)
class AnchorSummary:
    """The anchors of the model and how well they cover the data.

    Attributes:
        shapes: by pyramid level, (height, width) in pixels of the input.
        coverage: by name of the anchor set ("fitted", "default"), figures by name.
    """

    shapes: Mapping[int, tuple[tuple[float, float], ...]]
    coverage: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class ExamplePictures:
    """A picture twice, with boxes drawn into it; both (H, W, 3) uint8 RGB."""

    title: str
    ground_truth: np.ndarray
    detections: np.ndarray


@dataclass(frozen=True)
class ReportData:
    """Everything a report shows. A section without data is left out.

    Attributes:
        title: heading of the page.
        config: the resolved config as plain dicts.
        labels: class names.
        environment: machine and versions, by name; values may be mappings.
        accuracy: from the reference (float) to the model that is shipped (the last row).
        latency: as measured, in the order shown.
        losses: of the training, by step.
        accuracy_curve: on the validation split, by step.
        anchors: None if unknown.
        examples: pictures of the test split.
        layer_errors: what int8 does to each layer, in the order of computation.
        run: path of the RUN as the user gave it, for commands; "" for none.
        export: path of its export directory.
        notes: plain sentences that the reader should see first, such as warnings.
    """

    title: str
    config: Mapping[str, Any] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    environment: Mapping[str, Any] = field(default_factory=dict)
    accuracy: tuple[AccuracyRow, ...] = ()
    latency: tuple[LatencyRow, ...] = ()
    losses: tuple[LossPoint, ...] = ()
    accuracy_curve: tuple[AccuracyPoint, ...] = ()
    anchors: AnchorSummary | None = None
    examples: tuple[ExamplePictures, ...] = ()
    layer_errors: tuple[LayerError, ...] = ()
    notes: tuple[str, ...] = ()
    run: str = ""
    export: str = ""
