"""A diagnosis as one HTML file that needs nothing beside it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from html import escape
from pathlib import Path
from urllib.parse import quote

import numpy as np

from edge_retina.boxes.anchors import size_text
from edge_retina.doctor.data.checks.anchors import AnchorStudy
from edge_retina.doctor.data.checks.classes import box_counts
from edge_retina.doctor.data.checks.objects import LEARNABLE_PX, ObjectStatistics
from edge_retina.doctor.data.examine import Diagnosis
from edge_retina.doctor.data.report.pictures import sample_grid, worst_crops
from edge_retina.doctor.data.report.plots import histogram, shape_scatter
from edge_retina.doctor.finding_text import plural
from edge_retina.doctor.findings import SEVERITIES, Case, Finding, of_severity
from edge_retina.report.charts import BarGroup, Series, bar_chart, line_chart
from edge_retina.report.html import page_frame
from edge_retina.report.tables import Column, Figure, figures, percent, table

PAGE_STYLE = """\
.finding {
  border-left: .3rem solid var(--severity); padding: .1rem 0 .1rem .9rem; margin: .9rem 0;
}
.finding.error { --severity: #d03a3a; }
.finding.warning { --severity: var(--note-rule); }
.finding.note { --severity: var(--c0); }
.finding summary b {
  color: var(--severity); text-transform: uppercase; font-size: .75rem; letter-spacing: .04em;
  margin-right: .5rem;
}
.finding ul { margin: .4rem 0; padding-left: 1.1rem; font-size: .86rem; overflow-wrap: anywhere; }
.finding p { font-size: .92rem; }
a { color: var(--accent); }
h3 { font-size: .92rem; margin: 1.4rem 0 .6rem; }
td.reason { white-space: normal; min-width: 20rem; }
svg .dots {
  fill: none; stroke: var(--colour); stroke-width: 3.2; stroke-linecap: round; opacity: .35;
}
svg .anchor { fill: none; stroke: var(--colour); stroke-width: 2; }
svg .mark { stroke: var(--c1); stroke-width: 1.5; stroke-dasharray: 4 3; }
.grid-of { display: grid; gap: .7rem; }
.pictures-3 { grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); }
.pictures-6 { grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); }
.grid-of img { display: block; width: 100%; height: auto; border-radius: .4rem; }
.grid-of figcaption { font-size: .75rem; color: var(--soft); overflow-wrap: anywhere; }
"""
_OPEN_CLASSES = 20  # with more, the chart by class is folded away
_SIDE_EDGES = (0, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
_ASPECT_EDGES = (0.1, 0.17, 0.25, 0.33, 0.5, 0.67, 1, 1.5, 2, 3, 4, 6, 10)


def render_page(diagnosis: Diagnosis, *, links_from: Path) -> str:
    """Return the diagnosis as an HTML document with its style, charts and pictures inside.

    Args:
        diagnosis: what to show.
        links_from: the directory the page will lie in; links to pictures are relative to it.
    """
    known = diagnosis.survey
    name = os.path.basename(os.path.abspath(known.root))
    splits = ", ".join(f"{split} {len(items)}" for split, items in known.examples.items())
    body = (
        f'<section class="plain">{figures(_headline(diagnosis))}</section>',
        findings_section(diagnosis.findings, root=known.root, links_from=links_from),
        _advice(diagnosis),
        _distributions(diagnosis),
        _anchors(diagnosis),
        _section("Samples with their boxes", sample_grid(known)),
    )
    subtitle = (
        f"Data set in {known.layout} layout: {splits}. "
        f"Looked at for a network input of {size_text(diagnosis.objects.image_hw)} px."
    )
    return page_frame(
        name, body, subtitle=subtitle, window_title=f"{name}: doctor", style=PAGE_STYLE
    )


def _headline(diagnosis: Diagnosis) -> list[Figure]:
    known, objects = diagnosis.survey, diagnosis.objects
    counts = {s: len(of_severity(diagnosis.findings, s)) for s in SEVERITIES}
    items = [
        Figure("errors", str(counts["error"]), "stop or spoil training"),
        Figure("warnings", str(counts["warning"]), f"and {plural(counts['note'], 'note')}"),
    ]
    items.append(Figure("pictures", f"{len(known.images):,}", f"{len(known.usable):,} usable"))
    items.append(
        Figure("objects", f"{len(known.objects):,}", f"{len(objects.classes):,} to be trained on")
    )
    items.append(Figure("classes", str(len(known.labels))))
    if len(objects.sides):
        small = float((objects.sides < LEARNABLE_PX).mean())
        items.append(Figure("under 8 px", percent(small, of=1.0), "of the objects, at the input"))
    return items


def findings_section(findings: Iterable[Finding], *, root: Path, links_from: Path) -> str:
    """Return findings as a section; names of files under `root` become links."""
    items = [_finding(item, root, links_from) for item in findings]
    return _section("Findings", "".join(items) or "<p>Nothing to complain about.</p>")


def _finding(finding: Finding, root: Path, links_from: Path) -> str:
    cases = "".join(f"<li>{_case(case, root, links_from)}</li>" for case in finding.cases)
    more = finding.count - len(finding.cases)
    rest = f"<li>and {more} more</li>" if more > 0 else ""
    opened = " open" if finding.severity == "error" else ""
    return (
        f'<details class="finding {finding.severity}" id="{escape(finding.code)}"{opened}>'
        f"<summary><b>{finding.severity}</b>{escape(finding.title)}: {finding.count:,}</summary>"
        f"<p>{escape(_sentence(finding.why))} <i>{escape(_sentence(finding.remedy))}</i></p>"
        f"<ul>{cases}{rest}</ul></details>"
    )


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _case(case: Case, root: Path, links_from: Path) -> str:
    path, name = root / case.file, escape(case.file)
    if path.is_file():
        target = quote(os.path.relpath(path, links_from).replace(os.sep, "/"))
        name = f'<a href="{target}">{name}</a>'
    where = f" ({escape(case.where)})" if case.where else ""
    return f"{name}{where}: {escape(case.detail)}"


def _advice(diagnosis: Diagnosis) -> str:
    if not diagnosis.advice:
        return ""
    rows = "".join(
        f'<tr><td class="text">{escape(item.key)}</td><td class="text">{escape(str(item.value))}'
        f'</td><td class="text reason">{escape(item.reason)}</td></tr>'
        for item in diagnosis.advice
    )
    head = "".join(f'<th class="text">{name}</th>' for name in ("Field", "Value", "Because"))
    return _section(
        "Advice",
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
        '</div><p class="soft">--write-config FILE writes this as a config file.</p>',
    )


def _distributions(diagnosis: Diagnosis) -> str:
    objects = diagnosis.objects
    if not len(objects.classes):
        return ""
    charts = (
        histogram(
            f"Sides of objects at {size_text(objects.image_hw)} px",
            objects.sides,
            _within(_SIDE_EDGES, objects.sides),
            x_label="√(height × width), pixels; dashed: the learnable size",
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
    )
    return _section("Distributions", _columns(*charts, _class_chart(diagnosis)))


def _per_image_chart(objects: ObjectStatistics) -> str:
    most = int(objects.per_image.max())
    step = max(1, -(-(most + 1) // 20))  # at most 20 bars
    edges = list(range(0, most + step + 1, step))
    return histogram("Objects in a picture", objects.per_image, edges, x_label="objects")


def _class_chart(diagnosis: Diagnosis) -> str:
    counts = sorted(box_counts(diagnosis.survey).items(), key=lambda item: -item[1])
    groups = [BarGroup(label, (float(count),)) for label, count in counts]
    chart = bar_chart("Boxes by class", groups, ["boxes"], value_format=".0f")
    if len(groups) <= _OPEN_CLASSES:
        return chart
    return f"<details><summary>Boxes of {len(groups)} classes</summary>{chart}</details>"


def _within(edges: tuple[int, ...], values: np.ndarray) -> list[int]:
    """Return the edges up to the first one above all values."""
    return list(edges[: max(2, int(np.searchsorted(edges, values.max(), side="right")) + 1)])


def _anchors(diagnosis: Diagnosis) -> str:
    study = diagnosis.anchors
    if study is None:
        return ""
    scatter = shape_scatter(
        "Object shapes and anchors",
        diagnosis.objects.sizes_hw,
        {name: np.concatenate(shapes) for name, shapes in study.shapes.items()},
        seed=diagnosis.survey.config.seed,
    )
    crops = worst_crops(diagnosis.survey, study)
    title = "<h3>Objects that the fitted anchors cover worst</h3>" if crops else ""
    left = f"<div>{_coverage_table(study)}{_curve(study)}</div>"
    return _section("Anchors", _columns(left, scatter), title, crops)


def _coverage_table(study: AnchorStudy) -> str:
    columns = [
        Column(f"At {size_text(study.image_hw)} px", text=True),
        Column("per cell"),
        Column("recall at .5"),
        Column("at .4"),
        Column("mean IoU"),
    ]
    rows = [
        (
            name,
            str(len(study.shapes[name][0])),
            f"{item.best_possible_recall:.3f}",
            f"{item.recall_at_40:.3f}",
            f"{item.mean_best_iou:.3f}",
        )
        for name, item in study.coverage.items()
    ]
    return table(columns, rows)


def _curve(study: AnchorStudy) -> str:
    recall = [(float(p.per_cell), p.coverage.best_possible_recall) for p in study.curve]
    iou = [(float(p.per_cell), p.coverage.mean_best_iou) for p in study.curve]
    return line_chart(
        "Coverage by fitted anchors",
        [Series("best possible recall at IoU .5", tuple(recall)), Series("mean IoU", tuple(iou))],
        x_label="shapes a cell",
    )


def _columns(*content: str) -> str:
    return f'<div class="columns">{"".join(content)}</div>'


def _section(title: str, *content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{''.join(content)}</section>" if any(content) else ""
