"""`edge-retina evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edge_retina.cli.data import load_split, skip_invalid_option, split_option
from edge_retina.cli.models import backend_option, open_predictor, threads_option
from edge_retina.cli.options import STDOUT, debug_option, emit_json, json_option, seed_option
from edge_retina.progress import show_progress


@click.command("evaluate")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@split_option
@threads_option
@backend_option
@skip_invalid_option
@json_option
@seed_option
@debug_option
def command(
    model: Path,
    data: Path,
    split: str,
    threads: int,
    backend: str,
    skip_invalid: bool,
    json_target: str | None,
    seed: int | None,
) -> None:
    """Measure COCO metrics of MODEL on DATA.

    MODEL is a run directory, a .tflite file or an export directory (its int8 file is used). DATA
    is a data set in a standard layout. --seed is for splitting data without splits.

    Example: edge-retina evaluate runs/demo/export data/bccd --split test --json metrics.json
    """
    from edge_retina.evaluation.evaluator import evaluate
    from edge_retina.evaluation.record import evaluation_record

    examples, labels = load_split(data, split, skip_invalid=skip_invalid, seed=seed)
    opened = open_predictor(model, threads=threads, backend=backend)
    with show_progress("evaluate", len(examples)) as progress:
        metrics, _ = evaluate(opened.predictor, examples, labels=labels, progress=progress)
    record = evaluation_record(
        metrics,
        model_file=opened.file,
        backend=opened.backend,
        data_path=data,
        split=split,
        examples=examples,
    )
    if json_target != STDOUT:
        click.echo(_table(record))
    emit_json(record, json_target)


def _table(record: dict[str, Any]) -> str:
    figures = {name: value for name, value in record.items() if not isinstance(value, dict)}
    by_class = {f"AP {label}": value for label, value in record["per_class"].items()}
    rows = [*figures.items(), *by_class.items()]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {_cell(value)}" for name, value in rows)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
