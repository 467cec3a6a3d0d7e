"""How well fitted anchors cover the objects of augmented training images.

    python benchmarks/augmented_coverage.py DATA --out benchmarks/results/augmented_coverage

Writes OUT.json and OUT.md. Four shapes are fitted to boxes as training draws them, with the
augmentation of the config. Best possible recall is the share of objects with an anchor of
IoU >= 0.5, in the images as they are and as augmentation changes them: without transpose, and with
it (probability 0.5, whatever the config says). Needs no TensorFlow.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click

from edge_retina.benchmark.environment import read_environment
from edge_retina.config import load_config
from edge_retina.datasets import load_dataset
from edge_retina.files import write_json, write_text
from edge_retina.input_pipeline.augmentation_effect import (
    MOVING,
    AugmentationEffect,
    measure_effect,
    switched_off,
)
from edge_retina.workflow.anchors import resolve_anchors

_DATA_SETS = ("bccd", "chess", "vehicles5")
_CONFIGS = Path(__file__).parent / "configs"
_TRANSPOSE = 0.5
_FORMS = {
    "unaugmented": "as they are",
    "without_transpose": "augmented, no transpose",
    "with_transpose": "augmented, transpose",
}


@click.command()
@click.argument("data", type=click.Path(exists=True, path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Without suffix.")
@click.option("--draws", default=10_000, show_default=True, help="Augmented images per figure.")
@click.option("--seed", default=0, show_default=True)
def main(data: Path, out: Path, draws: int, seed: int) -> None:
    """Fit, draw, measure, write."""
    environment = dataclasses.asdict(read_environment())
    rows = []
    for name in _DATA_SETS:
        rows.append({"data": name, **_measure(data / name, name, draws, seed)})
        click.echo(_line(rows[-1]))
    record = {
        "schema_version": 1,
        "environment": environment,
        "seed": seed,
        "draws": draws,
        "results": rows,
    }
    write_json(out.with_suffix(".json"), record)
    write_text(out.with_suffix(".md"), _page(rows, draws))


def _measure(root: Path, name: str, draws: int, seed: int) -> dict[str, Any]:
    overrides = (f"data.path='{root.resolve()}'", "anchors.kind=fitted", "anchors.per_cell=4")
    config = load_config(_CONFIGS / f"{name}.toml", overrides=overrides)
    train = load_dataset(root, skip_invalid=True).split(config.data.train_split)
    grid = resolve_anchors(config, train)
    plain = switched_off(config.augmentation, *MOVING)
    effect = measure_effect(train, grid, plain, seed=seed, draws=len(train))
    row: dict[str, Any] = {"images": len(train), "unaugmented": _figures(effect)}
    for form, transpose in (("without_transpose", 0.0), ("with_transpose", _TRANSPOSE)):
        settings = dataclasses.replace(config.augmentation, transpose=transpose)
        row[form] = _figures(measure_effect(train, grid, settings, seed=seed, draws=draws))
    return row


def _figures(effect: AugmentationEffect) -> dict[str, Any]:
    return {
        "objects": effect.coverage.objects,
        "ignored": effect.objects - effect.coverage.objects,
        "best_possible_recall": effect.coverage.best_possible_recall,
        "mean_best_iou": effect.coverage.mean_best_iou,
    }


def _line(row: dict[str, Any]) -> str:
    figures = (f"{form} {row[form]['best_possible_recall']:.3f}" for form in _FORMS)
    return f"{row['data']:<10} {'  '.join(figures)}"


def _page(rows: list[dict[str, Any]], draws: int) -> str:
    head = ["data set", "images", *_FORMS.values(), "ignored objects, no transpose", "transpose"]
    lines = ["| " + " | ".join(head) + " |", "| --- " * len(head) + "|"]
    for row in rows:
        cells = [row["data"], str(row["images"])]
        cells += [f"{row[form]['best_possible_recall']:.3f}" for form in _FORMS]
        cells += [_share_ignored(row[form]) for form in ("without_transpose", "with_transpose")]
        lines.append("| " + " | ".join(cells) + " |")
    return (
        "# Best possible recall of fitted anchors on augmented training images\n\n"
        f"Share of objects with an anchor of IoU >= 0.5; {draws:,} augmented images per figure.\n"
        "Written by `python benchmarks/augmented_coverage.py`.\n\n" + "\n".join(lines) + "\n"
    )


def _share_ignored(figures: dict[str, Any]) -> str:
    return f"{figures['ignored'] / (figures['objects'] + figures['ignored']):.1%}"


if __name__ == "__main__":
    main()
