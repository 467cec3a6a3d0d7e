"""Does fitting the anchors change the result? One data set, one budget, default against fitted.

    python benchmarks/anchors_matter.py NAME CONFIG.toml [--set key=value ...]

trains CONFIG twice, with RetinaNet's nine default shapes and with shapes fitted by k-means, else
alike, and measures both float models on the test split. Writes
benchmarks/results/anchors_matter_NAME.json and .md. A finished training is not done again.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click

from edge_retina.benchmark.environment import read_environment
from edge_retina.config import Config, load_config
from edge_retina.files import write_json, write_text
from edge_retina.report.markdown import markdown_table
from edge_retina.run_directory import RunDirectory

_RESULTS = Path(__file__).parent / "results"


@click.command()
@click.argument("name")
@click.argument("config", type=click.Path(exists=True, path_type=Path))
@click.option("--set", "overrides", multiple=True)
@click.option("--runs", default=Path("runs/anchors"), type=click.Path(path_type=Path))
def main(name: str, config: Path, overrides: tuple[str, ...], runs: Path) -> None:
    """Compare default and fitted anchors on the data set of CONFIG."""
    # Fixed IoU thresholds, since ATSS is meant for squares; `--set` can say otherwise.
    base = load_config(config, overrides=("matching.assigner=max_iou", *overrides))
    kinds = {
        "default": dataclasses.replace(base.anchors, kind="retinanet", shapes=()),
        "fitted": dataclasses.replace(base.anchors, kind="fitted", fit=True, shapes=()),
    }
    result = {
        "config": config.name,
        "overrides": list(overrides),
        "environment": dataclasses.asdict(read_environment()),
        "anchors": {
            kind: _measure(base.replace(anchors=anchors), RunDirectory(runs / f"{name}_{kind}"))
            for kind, anchors in kinds.items()
        },
    }
    write_json(_RESULTS / f"anchors_matter_{name}.json", result)
    table = _markdown(name, result)
    write_text(_RESULTS / f"anchors_matter_{name}.md", table)
    click.echo(table)


def _measure(config: Config, run: RunDirectory) -> dict[str, Any]:
    from edge_retina.evaluation.evaluator import evaluate
    from edge_retina.model.predictor import load_keras_predictor
    from edge_retina.workflow.anchors import anchor_coverage
    from edge_retina.workflow.prepare import prepare_run
    from edge_retina.workflow.stages import STAGES

    context = prepare_run(config, run)
    STAGES.complete(context, ["train"])
    predictor = load_keras_predictor(str(run.root))
    metrics, _ = evaluate(predictor, context.data.test, labels=context.labels)
    return {
        "per_cell": context.grid.per_cell,
        "coverage": anchor_coverage(context.grid, context.data.train).to_dict(),
        "steps": run.details("train")["steps"],
        "metrics": metrics.to_dict(),
    }


def _markdown(name: str, result: dict[str, Any]) -> str:
    anchors = result["anchors"]
    labels = list(anchors["default"]["metrics"]["per_class"])
    rows = {
        "anchors per cell": [str(item["per_cell"]) for item in anchors.values()],
        "recall at IoU 0.5, training boxes": [
            f"{item['coverage']['best_possible_recall']:.3f}" for item in anchors.values()
        ],
        **{
            figure: [_score(item["metrics"][figure]) for item in anchors.values()]
            for figure in ("mAP", "mAP50", "mAP_small", "mAP_medium", "mAP_large")
        },
        **{
            f"AP {label}": [
                _score(item["metrics"]["per_class"][label]) for item in anchors.values()
            ]
            for label in labels
        },
    }
    environment = result["environment"]
    lines = [
        f"# {name}: default against fitted anchors, float, test split",
        "",
        markdown_table(["", *anchors], [[title, *cells] for title, cells in rows.items()]),
        f"{anchors['default']['steps']} steps each, one seed, {result['config']} "
        f"{' '.join(result['overrides'])}; {environment['cpu']}, {environment['cores']} cores.",
    ]
    return "\n".join(lines) + "\n"


def _score(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    main()
