"""Coverage of fitted anchors beside RetinaNet's nine, on every real data set, at 256 and 320 px.

    python benchmarks/anchor_coverage.py ../shared/data --out benchmarks/results/anchor_coverage

Writes OUT.json and OUT.md. Anchors (levels 3-7) are fitted to the training split's boxes as drawn
in training, with the default augmentation, and measured on its boxes as they stand in the files
("best possible recall" is what training can reach), and on the boxes of all other splits together,
which they never saw. "evolved" is k-means and 2,000 trials of `evolve_shapes`; "square" is one
square of 4 strides per cell.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
import numpy as np

from edge_retina.benchmark.environment import read_environment
from edge_retina.boxes.anchors import AnchorGrid, default_shapes, square_shapes
from edge_retina.boxes.coverage import AnchorCoverage, best_iou
from edge_retina.boxes.fitting import fit_anchors
from edge_retina.boxes.square_reach import square_coverage
from edge_retina.config import AugmentationConfig
from edge_retina.datasets import Dataset, Example, load_dataset
from edge_retina.datasets.objects import boxes_at_input
from edge_retina.files import write_json, write_text
from edge_retina.input_pipeline.anchor_objects import drawn_objects
from edge_retina.report.markdown import markdown_table

_DATA_SETS = (
    "bccd",
    "chess",
    "vehicles5",
    "coco_tiny",
    "raccoon",
    "mediapipe_min/coco_data",
    "mediapipe_min/pascal_voc_data",
)
_IMAGE_SIZES = (256, 320)
_LEVELS = (3, 4, 5, 6, 7)
_PER_CELL = (3, 4, 6, 9)
_ROUNDS = 2000
_FORMS = {"fitted": 0, "evolved": _ROUNDS}


@click.command()
@click.argument("data", type=click.Path(exists=True, path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Without suffix.")
@click.option("--seed", default=0, show_default=True)
def main(data: Path, out: Path, seed: int) -> None:
    """Fit, measure, write."""
    environment = dataclasses.asdict(read_environment())
    rows = []
    for name in _DATA_SETS:
        dataset = load_dataset(data / name, skip_invalid=True)
        for image_size in _IMAGE_SIZES:
            rows.append({"data": name, **_measure(dataset, image_size, seed)})
            click.echo(_line(rows[-1]))
    record = {"schema_version": 1, "environment": environment, "seed": seed, "results": rows}
    write_json(out.with_suffix(".json"), record)
    write_text(out.with_suffix(".md"), _page(rows))
    failed = [f"{row['data']} at {row['image_size']}" for row in rows if not _better(row)]
    click.echo(f"not better than the defaults: {', '.join(failed) or 'none'}")


def _measure(dataset: Dataset, image_size: int, seed: int) -> dict[str, Any]:
    size = (image_size, image_size)
    train = boxes_at_input(dataset.split("train"), size)
    others = [
        example for name, split in dataset.splits.items() if name != "train" for example in split
    ]
    unseen = boxes_at_input(_not_in(others, dataset.split("train")), size)
    drawn = drawn_objects(
        dataset.split("train"), image_hw=size, settings=AugmentationConfig(), seed=seed
    )
    default = AnchorGrid(size, _LEVELS[0], default_shapes(_LEVELS))
    square = AnchorGrid(size, _LEVELS[0], square_shapes(_LEVELS))
    row: dict[str, Any] = {
        "image_size": image_size,
        "objects": len(train),
        "unseen_objects": len(unseen),
        "default": _figures(default, train, unseen),
        "square": _figures(square, train, unseen),
        "square_reach": square_coverage(drawn.boxes_px, image_hw=size, levels=_LEVELS).to_dict(),
    }
    for form, rounds in _FORMS.items():
        row[form] = {}
        for per_cell in _PER_CELL:
            start = time.perf_counter()
            grid = fit_anchors(
                drawn,
                image_hw=size,
                levels=_LEVELS,
                per_cell=per_cell,
                evolve=rounds,
                seed=seed,
            ).grid
            seconds = time.perf_counter() - start
            row[form][str(per_cell)] = {**_figures(grid, train, unseen), "fit_seconds": seconds}
    return row


def _not_in(examples: Iterable[Example], train: Iterable[Example]) -> list[Example]:
    """Return each example once, without those of the training split (VOC has a "trainval")."""
    known = {example.image_id for example in train}
    return list({e.image_id: e for e in examples if e.image_id not in known}.values())


def _figures(grid: AnchorGrid, train: np.ndarray, unseen: np.ndarray) -> dict[str, Any]:
    fitted_to, other = (AnchorCoverage.of(best_iou(grid, boxes)) for boxes in (train, unseen))
    return {
        "per_cell": grid.per_cell,
        "best_possible_recall": fitted_to.best_possible_recall,
        "recall_at_40": fitted_to.recall_at_40,
        "mean_best_iou": fitted_to.mean_best_iou,
        "unseen_best_possible_recall": other.best_possible_recall if other.objects else None,
        "unseen_mean_best_iou": other.mean_best_iou if other.objects else None,
    }


def _better(row: dict[str, Any]) -> bool:
    """Whether some fitted set raises the recall, or keeps a perfect one with fewer shapes."""
    default = row["default"]["best_possible_recall"]
    sets = [item for form in _FORMS for item in row[form].values()]
    return any(
        item["best_possible_recall"] > default
        or (item["best_possible_recall"] == default == 1 and item["per_cell"] < 9)
        for item in sets
    )


def _line(row: dict[str, Any]) -> str:
    recalls = (
        f"{form} {item['per_cell']}: {item['best_possible_recall']:.3f}"
        for form in _FORMS
        for item in row[form].values()
    )
    default = f"default 9: {row['default']['best_possible_recall']:.3f}"
    return f"{row['data']} {row['image_size']}  {default}  {'  '.join(recalls)}"


def _page(rows: list[dict[str, Any]]) -> str:
    head = ["data set", "px", "objects", "RetinaNet, 9", "square, 1"]
    head += [f"{form}, {per_cell}" for form in _FORMS for per_cell in _PER_CELL]
    titles = {
        "best_possible_recall": "Best possible recall at IoU 0.5",
        "recall_at_40": "Recall at IoU 0.4",
        "mean_best_iou": "Mean best IoU",
        "unseen_best_possible_recall": "Best possible recall at IoU 0.5, pictures not fitted to",
        "unseen_mean_best_iou": "Mean best IoU, pictures not fitted to",
    }
    parts = [
        "# Anchors fitted to the data, beside RetinaNet's nine\n\n"
        "Levels 3-7, stretched input, boxes at their real positions. Numbers in the column names\n"
        "are the anchors per cell that were asked for; a small data set carries fewer. Fitted to\n"
        "boxes as training draws them. Written by `python benchmarks/anchor_coverage.py`.\n"
    ]
    for key, title in titles.items():
        cells = [_cells(row, key) for row in rows if row["default"][key] is not None]
        parts.append(f"\n## {title}\n\n{markdown_table(head, cells)}")
    reach = [
        [row["data"], str(row["image_size"])]
        + [f"{row['square_reach'][key]:.1%}" for key in ("beyond_reach", "too_long", "too_small")]
        for row in rows
    ]
    columns = ["data set", "px", "IoU under 0.4", "longer than 3.06 : 1", "too small"]
    title = "Training objects, as drawn, beyond the reach of one square of 4 strides"
    parts.append(f"\n## {title}\n\n{markdown_table(columns, reach)}")
    return "".join(parts)


def _cells(row: dict[str, Any], key: str) -> list[str]:
    objects = row["unseen_objects" if key.startswith("unseen") else "objects"]
    values = [row["default"][key], row["square"][key]]
    values += [item[key] for form in _FORMS for item in row[form].values()]
    return [row["data"], str(row["image_size"]), f"{objects:,}", *(f"{v:.3f}" for v in values)]


if __name__ == "__main__":
    main()
