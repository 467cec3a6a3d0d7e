"""`edge-retina anchors`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
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
from edge_retina.cli.terminal import show
from edge_retina.config import AnchorConfig, Config, ModelConfig
from edge_retina.files import write_text
from edge_retina.report.tables import Column, Table, score

if TYPE_CHECKING:
    from edge_retina.boxes.coverage import AnchorCoverage, CoverageReport
    from edge_retina.boxes.fitting import CurvePoint

_DEFAULTS = ModelConfig()
_MOST_CLASSES = 30  # rows on a terminal; the JSON has all
_FIGURES = (Column("recall@0.5"), Column("recall@0.4"), Column("mean IoU"))


@click.command("anchors")
@click.argument("data", type=click.Path(path_type=Path))
@image_size_option(default=_DEFAULTS.image_hw)
@click.option(
    "--per-cell",
    type=int,
    default=AnchorConfig().per_cell,
    show_default=True,
    help="Anchors per cell.",
)
@click.option(
    "--min-level",
    type=int,
    default=_DEFAULTS.min_level,
    show_default=True,
    help="Finest feature level; level 3 has stride 8.",
)
@click.option(
    "--max-level",
    type=int,
    default=_DEFAULTS.max_level,
    show_default=True,
    help="Coarsest feature level; level 7 has stride 128.",
)
@click.option("--split", default="train", show_default=True, help="Split to fit to.")
@click.option(
    "--evolve",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Try N random changes after k-means and keep those that cover more; 2000 works well.",
)
@click.option("--curve", is_flag=True, help="Show the coverage of 1 to 9 anchors per cell.")
@skip_invalid_option
@out_option("TOML file for the shapes, to be copied into a config.", required=False)
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
    """Fit anchor shapes to DATA by k-means and compare their coverage with RetinaNet's nine.

    Coverage counts the objects of --split at the network's input size: the share with an anchor of
    IoU >= 0.5 (the best possible recall) or 0.4, and the mean best IoU.

    Example: edge-retina anchors data/bccd --image-size 320 --per-cell 4 --out anchors.toml
    """
    from edge_retina.boxes.coverage import coverage_report
    from edge_retina.boxes.fitting import coverage_curve, fit_anchors, knee
    from edge_retina.datasets.objects import boxes_at_input, object_classes

    # A whole config, because that checks ranges: what is allowed here must be valid in a file.
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
        show(*_tables(grids, reports), *([_curve(points, knee(points))] if curve else []))
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


def _tables(grids: dict[str, AnchorGrid], reports: dict[str, CoverageReport]) -> Iterator[Table]:
    overall = [
        (name, str(grid.per_cell), *_figures(reports[name].overall)) for name, grid in grids.items()
    ]
    yield Table((Column("anchors", text=True), Column("per cell"), *_FIGURES), overall)
    fitted, default = reports["fitted"], reports["default"]
    yield _groups("class", fitted.by_class, default.by_class)
    yield _groups("side in px", fitted.by_size, default.by_size)
    levels = [Column(f"P{level}") for level in fitted.positives_by_level]
    means = [
        (name, *(f"{mean:.2f}" for mean in report.positives_by_level.values()))
        for name, report in reports.items()
    ]
    yield Table(
        (Column("anchors", text=True), *levels),
        means,
        title="Positive anchors per object (IoU >= 0.5), by level",
    )


def _figures(item: AnchorCoverage) -> tuple[str, str, str]:
    return score(item.best_possible_recall), score(item.recall_at_40), score(item.mean_best_iou)


def _groups(
    title: str, fitted: dict[str, AnchorCoverage], default: dict[str, AnchorCoverage]
) -> Table:
    """Return the table of one kind of group; of a long one, the worst covered by fitted anchors."""
    names = list(fitted)
    if len(names) > _MOST_CLASSES:
        names = sorted(names, key=lambda name: fitted[name].best_possible_recall)[:_MOST_CLASSES]
    columns = (
        Column(title, text=True),
        Column("objects"),
        Column("recall@0.5"),
        Column("default"),
        Column("mean IoU"),
    )
    rows = [
        (
            name,
            str(fitted[name].objects),
            score(fitted[name].best_possible_recall),
            score(default[name].best_possible_recall),
            score(fitted[name].mean_best_iou),
        )
        for name in names
    ]
    left_out = len(fitted) - len(names)
    note = f"The worst {len(names)} of {len(fitted)}; all are in the JSON" if left_out else ""
    return Table(columns, rows, title=note)


def _curve(points: Sequence[CurvePoint], recommended: int | None) -> Table:
    note = "<- enough: one more adds under half a point"
    rows = [
        (
            str(point.per_cell),
            *_figures(point.coverage),
            note if point.per_cell == recommended else "",
        )
        for point in points
    ]
    return Table((Column("per cell"), *_FIGURES, Column("", text=True)), rows)


def _toml(shapes: Any, per_cell: int, image_hw: tuple[int, int]) -> str:
    import tomli_w

    header = (
        f"# Fitted by 'edge-retina anchors' for {size_text(image_hw)} px: height, width by level.\n"
    )
    return header + tomli_w.dumps({"anchors": {"per_cell": per_cell, "shapes": shapes}})
