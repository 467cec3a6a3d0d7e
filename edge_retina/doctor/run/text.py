"""A diagnosis of a RUN as texts and tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from edge_retina.doctor.finding_text import wrapped
from edge_retina.doctor.run.diagnosis import RunDiagnosis
from edge_retina.doctor.run.outputs import Outputs
from edge_retina.doctor.run.proof import Proof
from edge_retina.doctor.run.suspicion import Suspicion
from edge_retina.evaluation.errors.tide import KINDS
from edge_retina.report.tables import Column, Table

NOTHING_FOUND = "Nothing points to a cause that this command knows."


def diagnosis_blocks(diagnosis: RunDiagnosis) -> list[str | Table]:
    """Return what was measured, the suspected causes, and what could not be judged."""
    run = diagnosis.evidence
    blocks: list[str | Table] = [summary(diagnosis)]
    measured = [outputs for outputs in (run.train, run.val) if outputs is not None]
    if measured:
        blocks.append(measured_table(measured))
    blocks += [
        suspicion_text(number, item, run=run.name)
        for number, item in enumerate(diagnosis.suspicions, 1)
    ]
    if not diagnosis.suspicions:
        blocks.append(NOTHING_FOUND)
    if diagnosis.unjudged:
        lines = ["Not judged:"]
        for reason, titles in diagnosis.unjudged_by_reason.items():
            lines += [*(f"  - {title}" for title in titles), wrapped("    why: ", reason)]
        blocks.append("\n".join(lines))
    return blocks


def summary(diagnosis: RunDiagnosis) -> str:
    """Return one line about the RUN and the number of suspected causes."""
    run = diagnosis.evidence
    count = len(diagnosis.suspicions)
    causes = {0: "no cause", 1: "1 cause"}.get(count, f"{count} causes")
    return f"{run.name}: {run.steps} steps, {run.epochs:.0f} epochs; {causes} suspected"


def measured_table(measured: list[Outputs]) -> Table:
    """Return how well the network does, and the mAP50 that each kind of error costs."""
    columns = (
        Column("split", text=True),
        Column("images"),
        Column("mAP"),
        Column("mAP50"),
        *(Column(kind) for kind in KINDS),
    )
    rows = [
        (
            outputs.split,
            str(len(outputs.examples)),
            f"{outputs.mAP:.3f}",
            f"{outputs.mAP50:.3f}",
            *(f"{outputs.gains.gains[kind]:.3f}" for kind in KINDS),
        )
        for outputs in measured
    ]
    title = "Float model without augmentation; right: the mAP50 that each kind of error costs"
    return Table(columns, rows, title=title)


def suspicion_text(number: int, item: Suspicion, *, run: str) -> str:
    """Return a cause with its evidence, its estimated cost and what would mend it."""
    lines = [f"{number}. {item.title} ({item.stage}); costs about {100 * item.cost:.0f} points"]
    lines += [wrapped("  - ", text) for text in item.evidence]
    lines.append(wrapped("  do: ", item.mend.text))
    command = mend_command(item, run=run)
    if command:
        lines.append(f"      {command}")
    return "\n".join(lines)


def mend_command(item: Suspicion, *, run: str) -> str:
    """Return the command that mends a cause; "" if settings don't."""
    if not item.mend.settings:
        return ""
    settings = " ".join(f"--set {_quoted(text)}" for text in item.mend.settings)
    if item.mend.retrain:
        return f"edge-retina train {run}/config.toml --out {run}-mended {settings}"
    return f"edge-retina export {run} {settings}"


def proofs_table(proofs: Sequence[Proof]) -> Table:
    """Return what the counter-proofs gave."""
    columns = (
        Column("cause", text=True),
        Column("estimated"),
        Column("measured"),
        Column("noise"),
        Column("verdict", text=True),
    )
    rows = [
        (
            proof.title,
            f"{100 * proof.estimate:.1f}",
            f"{100 * proof.gain:+.1f}",
            f"{100 * proof.noise:.1f}",
            proof.verdict,
        )
        for proof in proofs
    ]
    steps = next((proof.steps for proof in proofs if proof.steps), 0)
    how = f"by trainings of {steps} steps" if steps else "by decoding again"
    return Table(columns, rows, title=f"Points of mAP that mending a cause gains, {how}")


def _quoted(text: str) -> str:
    return f"'{text}'" if set(text) & set(" []()") else text
