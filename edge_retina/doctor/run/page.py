"""A diagnosis of a RUN as one HTML file that needs nothing beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from edge_retina.doctor.finding_text import plural
from edge_retina.doctor.help_page import help_link
from edge_retina.doctor.run.diagnosis import RunDiagnosis
from edge_retina.doctor.run.pictures import worst_images
from edge_retina.doctor.run.proof import Proof
from edge_retina.doctor.run.rate_range import RateRange
from edge_retina.doctor.run.text import NOTHING_FOUND, measured_table, mend_command, proofs_table
from edge_retina.doctor.run.training_log import TrainingLog
from edge_retina.evaluation.errors.tide import KINDS
from edge_retina.report.charts import Chart, Series, line_chart
from edge_retina.report.disagreements import best_threshold, disagreements
from edge_retina.report.pages import render_template
from edge_retina.report.tables import Figure, score
from edge_retina.runtime.detections import Detections

_FEWEST_EVALUATIONS = 2


def render_run_page(
    diagnosis: RunDiagnosis,
    *,
    proofs: Sequence[Proof] = (),
    int8: Sequence[Detections] | None = None,
    links_from: Path | None = None,
) -> str:
    """Return the page.

    Args:
        diagnosis: of the RUN.
        proofs: what counter-proofs gave.
        int8: detections of the RUN's int8 file on the pictures of `evidence.val`.
        links_from: the directory the page will lie in; links are relative to it.
    """
    run = diagnosis.evidence
    outputs = run.val or run.train
    threshold = (
        best_threshold(outputs.examples, outputs.detections, outputs.labels) if outputs else 0.0
    )
    measured = [item for item in (run.train, run.val) if item is not None]
    return render_template(
        "run.html.j2",
        "edge_retina.doctor",
        title=f"{run.config.name}: diagnosis",
        window_title=f"{run.config.name}: doctor",
        subtitle=f"{run.name}: {run.steps} steps, {run.epochs:.0f} epochs.",
        headline=_headline(diagnosis),
        suspicions=[
            (item, f"{100 * item.cost:.0f}", mend_command(item, run=run.name))
            for item in diagnosis.suspicions
        ],
        help_link=help_link(links_from),
        nothing_found=NOTHING_FOUND,
        proofs=proofs_table(proofs) if proofs else None,
        measured=measured_table(measured) if measured else None,
        charts=_charts(diagnosis),
        split=outputs.split if outputs else "",
        threshold=f"{threshold:.2f}",
        worst=worst_images(outputs, threshold=threshold) if outputs else [],
        differing=disagreements(
            outputs.examples, outputs.detections, int8, outputs.labels, threshold=threshold
        )
        if outputs and int8 is not None
        else [],
        unjudged=diagnosis.unjudged_by_reason,
    )


def _headline(diagnosis: RunDiagnosis) -> list[Figure]:
    run = diagnosis.evidence
    count = len(diagnosis.suspicions)
    first = diagnosis.suspicions[0].title if diagnosis.suspicions else ""
    items = [Figure("suspected", plural(count, "cause"), first)]
    items += [
        Figure(f"mAP on {outputs.split}", score(outputs.mAP), f"mAP50 {score(outputs.mAP50)}")
        for outputs in (run.val, run.train)
        if outputs is not None
    ]
    return items


def _charts(diagnosis: RunDiagnosis) -> list[Chart]:
    """Return the curves that causes are judged by."""
    log = diagnosis.evidence.log
    if log is None:
        return []
    charts = [
        ("Loss", ("cls_loss", "box_loss")),
        ("Learning rate", ("learning_rate",)),
        (
            "Change of the weights by a step, over their norm",
            (
                "update_ratio_backbone",
                "update_ratio_fpn",
                "update_ratio_cls_head",
                "update_ratio_box_head",
            ),
        ),
        (
            "Scores of positive anchors",
            ("positive_score_p10", "positive_score_p50", "positive_score_p90"),
        ),
    ]
    drawn = []
    for title, names in charts:
        series = [
            Series(
                name.removeprefix("update_ratio_").removeprefix("positive_score_"),
                tuple(
                    (record["step"], value)
                    for record, value in zip(log.steps, log.values(name).tolist(), strict=True)
                    if value == value
                ),
            )
            for name in names
            if log.has(name)
        ]
        drawn.append(line_chart(title, series, x_label="step") if series else None)
    drawn += [_range_chart(diagnosis.evidence.rate_range), *_evaluation_charts(log)]
    return [chart for chart in drawn if chart is not None]


def _range_chart(measured: RateRange | None) -> Chart | None:
    """Return the loss by learning rate."""
    if measured is None:
        return None
    exponents = [math.log10(rate) for rate in measured.learning_rates]
    points = tuple(zip(exponents, measured.losses, strict=True))
    title = "Loss by learning rate, before the training"
    return line_chart(title, [Series("loss", points)], x_label="logarithm of the rate (-2 = .01)")


def _evaluation_charts(log: TrainingLog) -> list[Chart | None]:
    """Return accuracy, kinds of errors and losses on fixed images, from two evaluations on."""
    lines = log.evaluations
    if len(lines) < _FEWEST_EVALUATIONS:
        return []

    def curve(name: str, values: list[tuple[float, float | None]]) -> Series:
        return Series(name, tuple((step, value) for step, value in values if value is not None))

    accuracy = [curve(name, [(x["step"], x.get(name)) for x in lines]) for name in ("mAP", "mAP50")]
    errors = [
        curve(kind, [(x["step"], x.get("errors", {}).get(kind)) for x in lines]) for kind in KINDS
    ]
    probes = [
        curve(name, [(x["step"], x.get("probe", {}).get(name, {}).get("cls_loss")) for x in lines])
        for name in ("train", "augmented", "val")
    ]
    titles = (
        ("On the validation split", accuracy),
        ("mAP50 that each kind of error costs", errors),
        ("Class loss on fixed images", probes),
    )
    return [
        line_chart(title, [item for item in series if item.points], x_label="step")
        for title, series in titles
        if any(item.points for item in series)
    ]
