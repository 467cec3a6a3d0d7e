"""`edge-retina anchors`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click

from edge_retina.boxes.anchors import default_shapes
from edge_retina.boxes.coverage import AnchorCoverage
from edge_retina.cli.data import load_split, skip_invalid_option
from edge_retina.cli.options import debug_option, emit_json, json_option, out_option, seed_option
from edge_retina.config import AnchorConfig, ModelConfig
from edge_retina.files import write_text

_DEFAULTS = ModelConfig()


@click.command("anchors")
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "--image-size", type=int, default=_DEFAULTS.image_size, show_default=True, help="In pixels."
)
@click.option(
    "--per-cell",
    type=int,
    default=AnchorConfig().per_cell,
    show_default=True,
    help="Shapes a cell.",
)
@click.option(
    "--min-level", type=int, default=_DEFAULTS.min_level, show_default=True, help="3: stride 8."
)
@click.option(
    "--max-level", type=int, default=_DEFAULTS.max_level, show_default=True, help="7: stride 128."
)
@click.option("--split", default="train", show_default=True, help="Split whose boxes are fitted.")
@skip_invalid_option
@out_option("A TOML file for the shapes, to be merged into a config.", required=False)
@json_option
@seed_option
@debug_option
def command(
    data: Path,
    image_size: int,
    per_cell: int,
    min_level: int,
    max_level: int,
    split: str,
    skip_invalid: bool,
    out: Path | None,
    json_target: str | None,
    seed: int | None,
) -> None:
    """Fit anchor shapes to DATA by k-means, and show their coverage beside RetinaNet's default ones.

    Example: edge-retina anchors data/bccd --image-size 320 --per-cell 4 --out anchors.toml
    """
    import numpy as np

    from edge_retina.boxes.kmeans import fit_shapes
    from edge_retina.workflow.anchors import anchor_coverage, boxes_at_input

    model = ModelConfig(image_size=image_size, min_level=min_level, max_level=max_level)
    examples, _ = load_split(data, split, skip_invalid=skip_invalid, seed=seed)
    levels = tuple(range(model.min_level, model.max_level + 1))
    boxes = np.concatenate(boxes_at_input(examples, image_size))
    fitted = fit_shapes(boxes[:, 2:] - boxes[:, :2], levels, per_cell=per_cell, seed=seed or 0)
    sets = {"fitted": fitted, "default": default_shapes(levels)}
    coverage = {
        name: anchor_coverage(shapes, examples, image_size=image_size, min_level=min_level)
        for name, shapes in sets.items()
    }
    click.echo(_table(sets, coverage))
    if out is not None:
        write_text(out, _toml(fitted, per_cell, image_size))
    emit_json(
        {name: {"shapes": sets[name], **dataclasses.asdict(coverage[name])} for name in sets},
        json_target,
    )


def _table(sets: dict[str, Any], coverage: dict[str, AnchorCoverage]) -> str:
    lines = [f"{'anchors':<10}{'per cell':>9}{'recall@0.5':>12}{'recall@0.4':>12}{'mean IoU':>10}"]
    for name, shapes in sets.items():
        item = coverage[name]
        lines.append(
            f"{name:<10}{len(shapes[0]):>9}{item.best_possible_recall:>12.3f}"
            f"{item.recall_at_40:>12.3f}{item.mean_best_iou:>10.3f}"
        )
    return "\n".join(lines)


def _toml(shapes: Any, per_cell: int, image_size: int) -> str:
    import tomli_w

    header = f"# Fitted by 'edge-retina anchors' for {image_size} px: height, width by level.\n"
    return header + tomli_w.dumps({"anchors": {"per_cell": per_cell, "shapes": shapes}})
