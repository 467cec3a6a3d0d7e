"""Accuracy and latency of every variant of a model, from a finished RUN, as JSON and Markdown.

    edge-retina run benchmarks/configs/bccd.toml --out runs/bccd
    python benchmarks/run_table.py runs/bccd --name bccd

writes benchmarks/results/NAME.json and NAME.md. Nothing is measured here: the figures are those
that `run` left, of the files themselves.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import click

from edge_retina.benchmark.environment import read_environment
from edge_retina.files import write_json, write_text
from edge_retina.report.markdown import markdown_table
from edge_retina.report.tables import score
from edge_retina.run_directory import RunDirectory

_RESULTS = Path(__file__).parent / "results"


@click.command()
@click.argument("run", type=click.Path(exists=True, path_type=Path))
@click.option("--name", required=True, help="Of the config in configs/ and of the result files.")
def main(run: Path, name: str) -> None:
    """Write the table of RUN."""
    directory = RunDirectory(run)
    training = directory.details("train")
    qat = directory.details("quantize-qat")
    result = {
        "command": f"edge-retina run benchmarks/configs/{name}.toml",
        "environment": dataclasses.asdict(read_environment()),
        "training": {"steps": training["steps"], "seconds": training["seconds"]},
        "qat_steps": qat.get("steps"),
        "models": {
            title: _without_paths(record)
            for title, record in _results(directory, "evaluate").items()
        },
        "latency": [
            # Without the thousands of single times: on a fast machine they would be half a megabyte
            {key: value for key, value in record.items() if key != "samples_ms"}
            | {"model": Path(record["model"]).name}
            for record in _results(directory, "benchmark")["results"]
        ],
    }
    write_json(_RESULTS / f"{name}.json", result)
    table = _markdown(name, result)
    write_text(_RESULTS / f"{name}.md", table)
    click.echo(table)


def _results(run: RunDirectory, stage: str) -> dict[str, Any]:
    path = run.require(run.results_file(stage), "run")
    results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return results


def _without_paths(record: dict[str, Any]) -> dict[str, Any]:
    """Drop the directories of this machine; names and hashes stay."""
    model, data = record["model"], record["data"]
    return record | {
        "model": model | {"path": Path(model["path"]).name},
        "data": data | {"path": Path(data["path"]).name},
    }


def _markdown(name: str, result: dict[str, Any]) -> str:
    models = result["models"]
    reference = models["float Keras"]
    labels = list(reference["per_class"])
    head = ["model", "mAP", "of float", "mAP50", *(f"AP {label}" for label in labels)]
    rows = [
        [
            title,
            f"{record['mAP']:.3f}",
            f"{100 * record['mAP'] / reference['mAP']:.1f} %",
            f"{record['mAP50']:.3f}",
            *(score(record["per_class"][label]) for label in labels),
        ]
        for title, record in models.items()
    ]
    latency = [
        [
            record["model"],
            record["backend"],
            str(record["threads"]),
            f"{record['latency_ms']['p50']:.1f}",
            f"{record['latency_ms']['p90']:.1f}",
            f"{record['mAP']:.3f}",
            f"{record['size_bytes'] / 1e6:.2f}",
        ]
        for record in result["latency"]
    ]
    latency_head = ["model", "backend", "threads", "p50 ms", "p90 ms", "mAP", "MB"]
    environment, training = result["environment"], result["training"]
    data = reference["data"]
    lines = [
        f"# {name}: `{data['split']}` split, {reference['images']} pictures",
        "",
        markdown_table(head, rows),
        "Latency of a picture, from decoded pixels to detections (stretch, network, NMS):",
        "",
        markdown_table(latency_head, latency),
        f"Command: `{result['command']}`. Training: {training['steps']} steps in "
        f"{training['seconds'] / 60:.1f} minutes; QAT: {result['qat_steps']} steps. "
        f"Machine: {environment['cpu']}, {environment['cores']} cores; "
        f"TensorFlow {environment['packages'].get('tensorflow')}, "
        f"LiteRT {environment['packages'].get('ai-edge-litert')}.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
