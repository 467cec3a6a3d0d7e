"""A diagnosis as one HTML file that needs nothing beside it."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

import numpy as np

from edge_retina.boxes.anchors import size_text
from edge_retina.datasets.objects import LEARNABLE_PX
from edge_retina.doctor.data.checks.anchors import AnchorStudy
from edge_retina.doctor.data.checks.classes import box_counts
from edge_retina.doctor.data.checks.objects import ObjectStatistics
from edge_retina.doctor.data.examine import Diagnosis
from edge_retina.doctor.data.report.pictures import samples, worst_crops
from edge_retina.doctor.data.report.plots import histogram, shape_scatter
from edge_retina.doctor.data.report.text import coverage_notes, coverage_table
from edge_retina.doctor.finding_text import plural
from edge_retina.doctor.findings import SEVERITIES, of_severity
from edge_retina.doctor.help_page import help_link
from edge_retina.report.charts import BarGroup, Chart, Series, bar_chart, line_chart
from edge_retina.report.pages import render_template
from edge_retina.report.sections import OPEN_CLASSES
from edge_retina.report.tables import Column, Figure, Table, percent

_SIDE_EDGES = (0, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
_ASPECT_EDGES = (0.1, 0.17, 0.25, 0.33, 0.5, 0.67, 1, 1.5, 2, 3, 4, 6, 10)


def render_page(diagnosis: Diagnosis, *, links_from: Path) -> str:
    """Return the diagnosis as an HTML document with its style, charts and pictures inside.

    Args:
        diagnosis: what to show.
        links_from: the directory the page will lie in; links are relative to it.
    """
    known, study = diagnosis.survey, diagnosis.anchors
    name = os.path.basename(os.path.abspath(known.root))
    splits = ", ".join(f"{split} {len(items)}" for split, items in known.examples.items())
    return render_template(
        "data.html.j2",
        "edge_retina.doctor",
        title=name,
        window_title=f"{name}: doctor",
        subtitle=(
            f"Data set in {known.layout} layout: {splits}. "
            f"Examined for a network input of {size_text(diagnosis.objects.image_hw)} px."
        ),
        headline=_headline(diagnosis),
        findings=diagnosis.findings,
        links=_links(diagnosis, links_from),
        help_link=help_link(links_from),
        advice=_advice(diagnosis),
        distributions=_distributions(diagnosis),
        coverage=study and coverage_table(study),
        coverage_notes=coverage_notes(study) if study else [],
        curve=study and _curve(study),
        scatter=study and _scatter(diagnosis, study),
        worst=worst_crops(known, study) if study else [],
        samples=samples(known),
    )


def _headline(diagnosis: Diagnosis) -> list[Figure]:
    known, objects = diagnosis.survey, diagnosis.objects
    counts = {s: len(of_severity(diagnosis.findings, s)) for s in SEVERITIES}
    items = [
        Figure("errors", str(counts["error"]), "stop or spoil training"),
        Figure("warnings", str(counts["warning"]), f"and {plural(counts['note'], 'note')}"),
        Figure("pictures", f"{len(known.images):,}", f"{len(known.usable):,} usable"),
        Figure("objects", f"{len(known.objects):,}", f"{len(objects.classes):,} usable"),
        Figure("classes", str(len(known.labels))),
    ]
    if len(objects.sides):
        small = float((objects.sides < LEARNABLE_PX).mean())
        items.append(Figure("under 8 px", percent(small, of=1.0), "of the objects, at the input"))
    return items


def _links(diagnosis: Diagnosis, links_from: Path) -> dict[str, str]:
    """Return where the files are that findings name, relative to the page."""
    names = {case.file for finding in diagnosis.findings for case in finding.cases}
    paths = {name: diagnosis.survey.root / name for name in names}
    return {
        name: quote(os.path.relpath(path, links_from).replace(os.sep, "/"))
        for name, path in paths.items()
        if path.is_file()
    }


def _advice(diagnosis: Diagnosis) -> Table:
    columns = (
        Column("Field", text=True),
        Column("Value", text=True),
        Column("Reason", text=True, wraps=True),
    )
    rows = [(item.key, item.value_text, item.reason) for item in diagnosis.advice]
    return Table(columns, rows, stacks=True)


def _distributions(diagnosis: Diagnosis) -> list[Chart]:
    objects = diagnosis.objects
    if not len(objects.classes):
        return []
    charts = (
        histogram(
            f"Object sides at {size_text(objects.image_hw)} px",
            objects.sides,
            _within(_SIDE_EDGES, objects.sides),
            x_label="√(height × width), pixels; dashed: smallest learnable size",
            marks=(LEARNABLE_PX,),
        ),
        histogram(
            "Aspect ratios",
            objects.aspects,
            _ASPECT_EDGES,
            x_label="height / width at the input",
            marks=(1,),
        ),
        _per_image_chart(objects),
        _class_chart(diagnosis),
    )
    return [chart for chart in charts if chart is not None]


def _per_image_chart(objects: ObjectStatistics) -> Chart:
    most = int(objects.per_image.max())
    step = max(1, -(-(most + 1) // 20))  # at most 20 bars
    edges = list(range(0, most + step + 1, step))
    return histogram("Objects per picture", objects.per_image, edges, x_label="objects")


def _class_chart(diagnosis: Diagnosis) -> Chart | None:
    counts = sorted(box_counts(diagnosis.survey).items(), key=lambda item: -item[1])
    groups = [BarGroup(label, (float(count),)) for label, count in counts]
    fold = f"Boxes of {len(groups)} classes" if len(groups) > OPEN_CLASSES else ""
    return bar_chart("Boxes by class", groups, ["boxes"], value_format=".0f", fold=fold)


def _within(edges: tuple[int, ...], values: np.ndarray) -> list[int]:
    """Return the edges up to the first one above all values."""
    return list(edges[: max(2, int(np.searchsorted(edges, values.max(), side="right")) + 1)])


def _scatter(diagnosis: Diagnosis, study: AnchorStudy) -> Chart:
    return shape_scatter(
        "Object shapes and anchors",
        diagnosis.objects.sizes_hw,
        {name: np.concatenate(shapes) for name, shapes in study.shapes.items()},
        seed=diagnosis.survey.config.seed,
    )


def _curve(study: AnchorStudy) -> Chart | None:
    recall = [(float(p.per_cell), p.coverage.best_possible_recall) for p in study.curve]
    iou = [(float(p.per_cell), p.coverage.mean_best_iou) for p in study.curve]
    return line_chart(
        "Coverage by fitted anchors, objects as drawn in training",
        [Series("best possible recall at IoU 0.5", tuple(recall)), Series("mean IoU", tuple(iou))],
        x_label="anchors per cell",
    )
