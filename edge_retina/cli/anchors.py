"""`edge-retina anchors`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_retina.boxes.anchors import AnchorGrid, default_shapes, size_text
from edge_retina.cli.data import load_split, skip_invalid_option
from edge_retina.cli.options import (
    STDOUT,
    debug_option,
    emit_json,
    image_size_option,
    json_option,
    out_option,
    seed_option,
)
from edge_retina.config import AnchorConfig, Config, ModelConfig
from edge_retina.files import write_text

if TYPE_CHECKING:
    from edge_retina.boxes.coverage import AnchorCoverage, CoverageReport
    from edge_retina.boxes.fitting import CurvePoint

_DEFAULTS = ModelConfig()
_MOST_CLASSES = 30  # lines that a terminal shows; the JSON has all


@click.command("anchors")
@click.argument("data", type=click.Path(path_type=Path))
@image_size_option(default=_DEFAULTS.image_hw)
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
@click.option(
    "--evolve",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Random changes tried after k-means, kept where they cover more; 2000 is a good number.",
)
@click.option("--curve", is_flag=True, help="Show the coverage of 1 to 9 shapes a cell.")
@skip_invalid_option
@out_option("A TOML file for the shapes, to be merged into a config.", required=False)
@json_option
@seed_option
@debug_option
def command(
    data: Path,
    image_hw: tuple[int, int],
    per_cell: int,
    min_level: int,
    max_level: int,
    split: str,
    evolve: int,
    curve: bool,
    skip_invalid: bool,
    out: Path | None,
    json_target: str | None,
    seed: int | None,
) -> None:
    """Fit anchor shapes to DATA by k-means, and show their coverage beside RetinaNet's nine.

    Coverage is of the objects of --split at the network's input: the share with an anchor of IoU >=
    0.5 (the best possible recall) or 0.4, and the mean of the best IoU.

    Example: edge-retina anchors data/bccd --image-size 320 --per-cell 4 --out anchors.toml
    """
    from edge_retina.boxes.coverage import coverage_report
    from edge_retina.boxes.fitting import coverage_curve, fit_anchors, knee
    from edge_retina.datasets.objects import boxes_at_input, object_classes

    # A whole config, because it checks ranges: what fits here must fit in a config file.
    model = Config(
        model=ModelConfig(image_hw=image_hw, min_level=min_level, max_level=max_level),
        anchors=AnchorConfig(per_cell=per_cell, evolve=evolve),
    ).model
    examples, labels = load_split(data, split, skip_invalid=skip_invalid, seed=seed)
    boxes, classes = boxes_at_input(examples, image_hw), object_classes(examples)
    how: dict[str, Any] = {
        "image_hw": image_hw,
        "levels": model.levels,
        "evolve": evolve,
        "seed": seed or 0,
    }
    grids = {
        "fitted": fit_anchors(boxes, per_cell=per_cell, **how),
        "default": AnchorGrid(image_hw, min_level, default_shapes(model.levels)),
    }
    reports = {name: coverage_report(grid, boxes, classes, labels) for name, grid in grids.items()}
    points = coverage_curve(boxes, **how) if curve or json_target is not None else ()
    if json_target != STDOUT:
        click.echo(_table(grids, reports))
        if curve:
            click.echo(f"\n{_curve(points, knee(points))}")
    if out is not None:
        write_text(out, _toml(grids["fitted"].shapes, per_cell, image_hw))
    record = {
        **{name: _record(grids[name], reports[name]) for name in grids},
        "curve": [point.to_dict() for point in points],
        "recommended_per_cell": knee(points),
    }
    emit_json(record, json_target)


def _record(grid: AnchorGrid, report: CoverageReport) -> dict[str, Any]:
    tree = dataclasses.asdict(report)
    return {"shapes": grid.shapes, **tree.pop("overall"), **tree}


def _table(grids: dict[str, AnchorGrid], reports: dict[str, CoverageReport]) -> str:
    lines = [f"{'anchors':<10}{'per cell':>9}{'recall@0.5':>12}{'recall@0.4':>12}{'mean IoU':>10}"]
    for name, grid in grids.items():
        item = reports[name].overall
        lines.append(f"{name:<10}{grid.per_cell:>9}{_figures(item)}")
    fitted, default = reports["fitted"], reports["default"]
    lines += ["", *_groups("class", fitted.by_class, default.by_class)]
    lines += ["", *_groups("side in px", fitted.by_size, default.by_size)]
    lines += ["", "positive anchors an object, by level:"]
    for name, report in reports.items():
        means = "  ".join(f"P{lv} {mean:.2f}" for lv, mean in report.positives_by_level.items())
        lines.append(f"{name:<10}{means}")
    return "\n".join(lines)


def _figures(item: AnchorCoverage) -> str:
    return (
        f"{item.best_possible_recall:>12.3f}{item.recall_at_40:>12.3f}{item.mean_best_iou:>10.3f}"
    )


def _groups(
    title: str, fitted: dict[str, AnchorCoverage], default: dict[str, AnchorCoverage]
) -> list[str]:
    """Return the table of one kind of group, by its fitted recall from the worst if it is long."""
    names = list(fitted)
    if len(names) > _MOST_CLASSES:
        names = sorted(names, key=lambda name: fitted[name].best_possible_recall)[:_MOST_CLASSES]
    width = max([len(title), *map(len, names)]) + 2
    lines = [f"{title:<{width}}{'objects':>8}{'recall@0.5':>12}{'default':>9}{'mean IoU':>10}"]
    for name in names:
        ours, theirs = fitted[name], default[name]
        lines.append(
            f"{name:<{width}}{ours.objects:>8}{ours.best_possible_recall:>12.3f}"
            f"{theirs.best_possible_recall:>9.3f}{ours.mean_best_iou:>10.3f}"
        )
    if len(names) < len(fitted):
        lines.append(f"({len(fitted) - len(names)} better covered ones are in the JSON)")
    return lines


def _curve(points: Sequence[CurvePoint], recommended: int | None) -> str:
    lines = [f"{'per cell':>8}{'recall@0.5':>12}{'recall@0.4':>12}{'mean IoU':>10}"]
    for point in points:
        mark = (
            "  <- enough: one more adds under half a point" if point.per_cell == recommended else ""
        )
        lines.append(f"{point.per_cell:>8}{_figures(point.coverage)}{mark}")
    return "\n".join(lines)


def _toml(shapes: Any, per_cell: int, image_hw: tuple[int, int]) -> str:
    import tomli_w

    header = (
        f"# Fitted by 'edge-retina anchors' for {size_text(image_hw)} px: height, width by level.\n"
    )
    return header + tomli_w.dumps({"anchors": {"per_cell": per_cell, "shapes": shapes}})
