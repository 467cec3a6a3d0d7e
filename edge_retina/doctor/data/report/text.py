"""A diagnosis as text for a terminal."""

from __future__ import annotations

from edge_retina.boxes.anchors import size_text
from edge_retina.doctor.data.examine import Diagnosis
from edge_retina.doctor.finding_text import finding_text, plural, wrapped
from edge_retina.doctor.findings import SEVERITIES, of_severity


def render_text(diagnosis: Diagnosis) -> str:
    """Return what was found, errors first, then anchors and advice."""
    blocks = [_headline(diagnosis)]
    blocks += [finding_text(finding) for finding in diagnosis.findings]
    if not diagnosis.findings:
        blocks.append("Nothing to complain about.")
    if diagnosis.anchors is not None:
        blocks.append(_anchors(diagnosis))
    if diagnosis.advice:
        blocks.append(_advice(diagnosis))
    return "\n\n".join(blocks)


def _headline(diagnosis: Diagnosis) -> str:
    known = diagnosis.survey
    images = ", ".join(f"{name} {len(items)}" for name, items in known.examples.items())
    counts = [
        plural(len(of_severity(diagnosis.findings, severity)), severity) for severity in SEVERITIES
    ]
    return (
        f"{known.root} ({known.layout}): {len(known.images)} pictures ({images}), "
        f"{len(known.objects)} objects, {len(known.labels)} classes, "
        f"at {size_text(diagnosis.objects.image_hw)} px\n{', '.join(counts)}"
    )


def _anchors(diagnosis: Diagnosis) -> str:
    study = diagnosis.anchors
    if study is None:
        return ""
    lines = [
        f"Anchors at {size_text(study.image_hw)} px, levels {study.levels[0]}..{study.levels[-1]}"
    ]
    lines.append(f"  {'':<12}{'per cell':>9}{'recall@0.5':>12}{'recall@0.4':>12}{'mean IoU':>10}")
    for name, item in study.coverage.items():
        lines.append(
            f"  {name:<12}{len(study.shapes[name][0]):>9}{item.best_possible_recall:>12.3f}"
            f"{item.recall_at_40:>12.3f}{item.mean_best_iou:>10.3f}"
        )
    return "\n".join(lines)


def _advice(diagnosis: Diagnosis) -> str:
    lines = ["Advice (--write-config FILE writes it)"]
    for item in diagnosis.advice:
        lines.append(wrapped(f"  {item.key} = {item.value_text}: ", item.reason, indent="      "))
    return "\n".join(lines)
