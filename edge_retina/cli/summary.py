"""The last lines of a whole run: what it reached and where it lies."""

from __future__ import annotations

from typing import Any

import click

from edge_retina.run_directory import RunDirectory


def print_summary(run: RunDirectory, evaluation: dict[str, Any]) -> None:
    """Print the accuracy of every form of the model, and where artefact and report are."""
    click.echo(f"{'':<14}{'mAP':>7}{'mAP50':>8}")
    for name, record in evaluation.items():
        click.echo(f"{name:<14}{record['mAP']:>7.3f}{record['mAP50']:>8.3f}")
    for path in sorted(run.export_dir.glob("*_int8.tflite")):
        click.echo(f"int8 model: {path}")
    click.echo(f"report:     {run.report_file}")
