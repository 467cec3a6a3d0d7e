"""Gathers what the stages left in a RUN into one HTML report."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge_retina.boxes.anchors import default_shapes
from edge_retina.config import Config
from edge_retina.datasets import Example
from edge_retina.evaluation.drawing import draw_detections, draw_ground_truth
from edge_retina.int8.layer_error import LayerError
from edge_retina.report.data import (
    AccuracyRow,
    AnchorSummary,
    ExamplePictures,
    LatencyRow,
    ReportData,
)
from edge_retina.report.html import write_report
from edge_retina.report.metrics_log import read_metrics_log
from edge_retina.run_directory import RunDirectory
from edge_retina.runtime.detector import TFLiteDetector
from edge_retina.runtime.image import load_image
from edge_retina.workflow.anchors import anchor_coverage

_PICTURES = 8


def write_run_report(
    run: RunDirectory,
    config: Config,
    *,
    evaluation: dict[str, Any],
    benchmark: dict[str, Any],
    train: Sequence[Example],
    examples: Sequence[Example],
    split: str,
    layer_errors: Sequence[LayerError],
) -> Path:
    """Write report.html of a RUN and return its path.

    Args:
        run: all stages done.
        config: resolved.
        evaluation: JSON of the evaluate stage, records by the name of the form.
        benchmark: JSON of the benchmark stage.
        train: the training split, for the anchors' coverage.
        examples: the measured split, for pictures.
        split: its name.
        layer_errors: of the int8 model.
    """
    labels = run.load_labels()
    curves = read_metrics_log(run.metrics_file)
    data = ReportData(
        title=f"{config.name}: int8 detector",
        config=config.to_dict(),
        labels=labels,
        environment=benchmark["environment"],
        accuracy=tuple(AccuracyRow.from_metrics(n, record) for n, record in evaluation.items()),
        latency=_latency(benchmark["results"]),
        losses=curves.losses,
        accuracy_curve=curves.accuracy,
        anchors=_anchors(config, train),
        examples=_pictures(run, config, labels, examples, split),
        layer_errors=tuple(layer_errors),
        notes=(*curves.warnings, *_warnings(benchmark["results"])),
    )
    write_report(run.report_file, data)
    return run.report_file


def _latency(results: Sequence[dict[str, Any]]) -> tuple[LatencyRow, ...]:
    rows = (LatencyRow.from_result(result) for result in results)
    return tuple(dataclasses.replace(row, model=Path(row.model).name) for row in rows)


def _warnings(results: Sequence[dict[str, Any]]) -> list[str]:
    """Return one sentence for each kind of warning; kinds are told apart by their first word."""
    kinds: dict[str, list[str]] = {}
    for result in results:
        for text in result["warnings"]:
            kinds.setdefault(text.split()[0], []).append(text)
    return [
        texts[0] if len(texts) == 1 else f"{texts[0]} (so {len(texts)} of {len(results)} results)"
        for texts in kinds.values()
    ]


def _anchors(config: Config, train: Sequence[Example]) -> AnchorSummary:
    model, shapes = config.model, config.anchors.shapes
    sets = {"this model": shapes, "RetinaNet default": default_shapes(model.levels)}
    coverage = {
        name: anchor_coverage(
            some, train, image_hw=model.image_hw, min_level=model.min_level
        ).to_dict()
        for name, some in sets.items()
    }
    return AnchorSummary(dict(zip(model.levels, shapes, strict=True)), coverage)


def _pictures(
    run: RunDirectory,
    config: Config,
    labels: tuple[str, ...],
    examples: Sequence[Example],
    split: str,
) -> tuple[ExamplePictures, ...]:
    detector = TFLiteDetector(run.export_dir / f"{config.name}_int8.tflite")
    # Evenly over the split, so that the pictures are not those of one camera or one day.
    chosen = np.unique(np.linspace(0, len(examples) - 1, _PICTURES).astype(int))
    pictures = []
    for example in (examples[i] for i in chosen):
        image = load_image(example.path)
        pictures.append(
            ExamplePictures(
                title=f"{split}: {example.image_id}",
                ground_truth=draw_ground_truth(image, example, labels),
                detections=draw_detections(image, detector.predict(image), labels),
            )
        )
    return tuple(pictures)
