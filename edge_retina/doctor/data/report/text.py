"""A diagnosis as texts and tables for a terminal."""

from __future__ import annotations

from edge_retina.boxes.anchors import size_text
from edge_retina.doctor.data.checks.anchors import AnchorStudy
from edge_retina.doctor.data.examine import Diagnosis
from edge_retina.doctor.finding_text import finding_text, plural, wrapped
from edge_retina.doctor.findings import SEVERITIES, of_severity
from edge_retina.report.tables import Column, Table, score


def text_blocks(diagnosis: Diagnosis) -> list[str | Table]:
    """Return what was found, errors first, then anchors and advice."""
    blocks: list[str | Table] = [_headline(diagnosis)]
    blocks += [finding_text(finding) for finding in diagnosis.findings]
    if not diagnosis.findings:
        blocks.append("No problems found.")
    if diagnosis.anchors is not None:
        blocks.append(coverage_table(diagnosis.anchors))
        blocks.append("\n".join(coverage_notes(diagnosis.anchors)))
    if diagnosis.advice:
        blocks.append(_advice(diagnosis))
    return blocks


def coverage_table(study: AnchorStudy) -> Table:
    """Return how well each set of anchors covers the objects."""
    columns = (
        Column("anchors", text=True),
        Column("per cell"),
        Column("recall@0.5"),
        Column("recall@0.4"),
        Column("mean IoU"),
        Column("as drawn@0.5"),
        Column("held-out@0.5"),
        Column("held-out IoU"),
    )
    rows = [
        (
            name,
            str(len(study.shapes[name][0])),
            score(item.best_possible_recall),
            score(item.recall_at_40),
            score(item.mean_best_iou),
            score(study.drawn[name].best_possible_recall),
            score(study.held_out[name].best_possible_recall),
            score(study.held_out[name].mean_best_iou),
        )
        for name, item in study.coverage.items()
    ]
    title = (
        f"Anchors at {size_text(study.image_hw)} px, levels {study.levels[0]}-{study.levels[-1]}"
    )
    return Table(columns, rows, title=title)


def coverage_notes(study: AnchorStudy) -> list[str]:
    """Return one line for each group of columns of the coverage table: what was measured."""
    return [
        "recall, IoU: the objects of all splits as in the files",
        "as drawn: those of the training split as training draws them; shapes are fitted to these",
        f"held out: {study.held_out['fitted'].objects:,} objects not fitted to, as in the files: "
        f"{study.held_out_name}",
    ]


def _headline(diagnosis: Diagnosis) -> str:
    known = diagnosis.survey
    splits = ", ".join(f"{name} {len(items)}" for name, items in known.examples.items())
    classes = f"{len(known.labels)} class{'' if len(known.labels) == 1 else 'es'}"
    counts = [
        plural(len(of_severity(diagnosis.findings, severity)), severity) for severity in SEVERITIES
    ]
    return (
        f"{known.root} ({known.layout}): {plural(len(known.images), 'picture')} ({splits}), "
        f"{plural(len(known.objects), 'object')}, {classes}, "
        f"at {size_text(diagnosis.objects.image_hw)} px\n{', '.join(counts)}"
    )


def _advice(diagnosis: Diagnosis) -> str:
    lines = ["Advice (--write-config FILE writes it as a config file)"]
    for item in diagnosis.advice:
        lines.append(wrapped(f"  {item.key} = {item.value_text}: ", item.reason, indent="      "))
    return "\n".join(lines)
