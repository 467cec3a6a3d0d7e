"""Gathers what the stages left in a RUN into one HTML report."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge_retina.benchmark.warnings import warnings_by_code
from edge_retina.boxes.anchors import AnchorGrid, default_shapes
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
from edge_retina.runtime.detector import TFLiteDetector
from edge_retina.runtime.image import load_image
from edge_retina.workflow.anchors import anchor_coverage
from edge_retina.workflow.context import RunContext
from edge_retina.workflow.measuring import load_results

_IMAGES = 8


def write_run_report(context: RunContext, *, layer_errors: Sequence[LayerError]) -> Path:
    """Write report.html of a RUN and return its path.

    Args:
        context: with all other stages done.
        layer_errors: of the int8 model; empty if there is nothing to compare.
    """
    run, config = context.run, context.config
    evaluation, benchmark = load_results(run, "evaluate"), load_results(run, "benchmark")
    curves = read_metrics_log(run.metrics_file)
    data = ReportData(
        title=f"{config.name}: int8 detector",
        config=config.to_dict(),
        labels=context.labels,
        environment=benchmark["environment"],
        accuracy=tuple(AccuracyRow.from_metrics(n, record) for n, record in evaluation.items()),
        latency=_latency(benchmark["results"]),
        losses=curves.losses,
        accuracy_curve=curves.accuracy,
        anchors=_anchors(context),
        examples=_example_images(context),
        layer_errors=tuple(layer_errors),
        notes=(*curves.warnings, *_warnings(benchmark["results"])),
        run=str(run.root),
        export=str(run.export_dir),
    )
    write_report(run.report_file, data)
    return run.report_file


def _latency(results: Sequence[dict[str, Any]]) -> tuple[LatencyRow, ...]:
    rows = (LatencyRow.from_result(result) for result in results)
    return tuple(dataclasses.replace(row, model=Path(row.model).name) for row in rows)


def _warnings(results: Sequence[dict[str, Any]]) -> list[str]:
    """Return one sentence for each kind of warning."""
    return [
        texts[0] if len(texts) == 1 else f"{texts[0]} (so {len(texts)} of {len(results)} results)"
        for texts in warnings_by_code(results).values()
    ]


def _anchors(context: RunContext) -> AnchorSummary:
    grid = context.grid
    default = AnchorGrid(grid.image_hw, grid.min_level, default_shapes(grid.levels))
    coverage = {
        name: anchor_coverage(some, context.data.train).to_dict()
        for name, some in {"this model": grid, "RetinaNet default": default}.items()
    }
    return AnchorSummary(dict(zip(grid.levels, grid.shapes, strict=True)), coverage)


def _example_images(context: RunContext) -> tuple[ExamplePictures, ...]:
    detector = TFLiteDetector(context.exported("int8"))
    split, examples = context.measured_split
    # Evenly over the split, so that the images are not those of one camera or one day.
    chosen = np.unique(np.linspace(0, len(examples) - 1, _IMAGES).astype(int))
    shown = []
    for example in (examples[i] for i in chosen):
        image = load_image(example.path)
        shown.append(
            ExamplePictures(
                title=f"{split}: {example.image_id}",
                ground_truth=draw_ground_truth(image, example, context.labels),
                detections=draw_detections(image, detector.predict(image), context.labels),
            )
        )
    return tuple(shown)
