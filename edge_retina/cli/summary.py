"""The last lines of a whole run: what it reached and where the results are."""

from __future__ import annotations

from typing import Any

from edge_retina.cli.terminal import show
from edge_retina.report.tables import Column, Table, score
from edge_retina.run_directory import RunDirectory


def print_summary(run: RunDirectory, evaluation: dict[str, Any]) -> None:
    """Print the accuracy of every variant of the model, and where artefact and report are."""
    columns = (Column("model", text=True), Column("mAP"), Column("mAP50"))
    rows = [
        (name, score(record["mAP"]), score(record["mAP50"])) for name, record in evaluation.items()
    ]
    files = [f"int8 model: {path}" for path in sorted(run.export_dir.glob("*_int8.tflite"))]
    files.append(f"report:     {run.report_file}")
    files.append(f"next:       edge-retina predict {run.export_dir} IMAGE... --out drawn")
    show(Table(columns, rows, final_row=True), "\n".join(files))
