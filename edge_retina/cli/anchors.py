"""`edge-retina anchors`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_retina.boxes.anchors import AnchorGrid, size_text
from edge_retina.boxes.fitting import knee
from edge_retina.boxes.sources import fewer_shapes_text
from edge_retina.boxes.square_reach import LONGEST_ASPECT, REACH_IOU
from edge_retina.cli.data import skip_invalid_option
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
from edge_retina.config import Config
from edge_retina.files import write_text
from edge_retina.report.plain_text import Block
from edge_retina.report.tables import Column, Table, score
from edge_retina.workflow.configuration import read_config

if TYPE_CHECKING:
    from edge_retina.boxes.coverage import AnchorCoverage
    from edge_retina.boxes.fitting import FittedAnchors
    from edge_retina.workflow.anchor_comparison import AnchorComparison

_DEFAULTS = Config()
_MOST_CLASSES = 30  # rows on a terminal; the JSON has all
_FIGURES = (Column("recall@0.5"), Column("recall@0.4"), Column("mean IoU"))
_HELD_OUT = (Column("held-out@0.5"), Column("held-out IoU"))


def _from_config(text: str, value: object) -> str:
    return f"{text} [default: the config's; {value} without one]"


@click.command("anchors")
@click.argument("data", metavar="DATA|CONFIG", type=click.Path(path_type=Path))
@image_size_option()
@click.option(
    "--per-cell", type=int, help=_from_config("Anchors per cell.", _DEFAULTS.anchors.per_cell)
)
@click.option(
    "--min-level",
    type=int,
    help=_from_config("Finest feature level; level 3 has stride 8.", _DEFAULTS.model.min_level),
)
@click.option(
    "--max-level",
    type=int,
    help=_from_config("Coarsest feature level; level 7 has stride 128.", _DEFAULTS.model.max_level),
)
@click.option("--split", help=_from_config("Split to fit to.", _DEFAULTS.data.train_split))
@click.option(
    "--evolve",
    type=click.IntRange(min=0),
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
    image_hw: tuple[int, int] | None,
    per_cell: int | None,
    min_level: int | None,
    max_level: int | None,
    split: str | None,
    evolve: int | None,
    curve: bool,
    skip_invalid: bool,
    out: Path | None,
    json_target: str | None,
    seed: int | None,
) -> None:
    """Fit anchor shapes to DATA by k-means and compare them with squares and RetinaNet's nine.

    Shapes are fitted to objects as training draws them: augmented as CONFIG says (by default if
    DATA is given) and cut at the border.

    Coverage is the share of objects with an anchor of IoU >= 0.5 (the best possible recall) or 0.4,
    and the mean best IoU. It is given for the objects of --split as they stand in the files, and as
    training draws them. It is also given held out: for the validation split, as in the files.
    Without one, each fifth of the pictures is covered by anchors fitted to the others.

    Example: edge-retina anchors data/bccd --image-size 320 --per-cell 4 --out anchors.toml
    """
    from edge_retina.workflow.anchor_comparison import compare_anchors

    config = read_config(data, overrides=(), seed=seed)
    given_model = {"image_hw": image_hw, "min_level": min_level, "max_level": max_level}
    given_anchors = {"per_cell": per_cell, "evolve": evolve}
    given_data = {"train_split": split, "skip_invalid": skip_invalid or None}
    # A whole config, because that checks ranges: what is allowed here must be valid in a file.
    config = config.replace(
        model=_replaced(config.model, given_model),
        anchors=_replaced(config.anchors, {**given_anchors, "shapes": ()}),
        data=_replaced(config.data, given_data),
    )
    compared = compare_anchors(
        config, with_curve=curve or json_target is not None, with_held_out_curve=curve
    )
    if json_target != STDOUT:
        show(*_blocks(compared, config), *([_curve(compared)] if curve else []))
    if out is not None:
        write_text(out, _toml(compared.fitted.grid))
    emit_json(compared.to_dict(), json_target)


def _replaced(section: Any, given: Mapping[str, Any]) -> Any:
    return dataclasses.replace(section, **{k: v for k, v in given.items() if v is not None})


def _blocks(compared: AnchorComparison, config: Config) -> Iterator[Block]:
    model = config.model
    overall = [
        (
            name,
            str(grid.per_cell),
            *_figures(compared.reports[name].overall),
            score(compared.drawn[name].best_possible_recall),
            *_held_out(compared.held_out[name]),
        )
        for name, grid in compared.grids.items()
    ]
    yield Table(
        (
            Column("anchors", text=True),
            Column("per cell"),
            *_FIGURES,
            Column("as drawn@0.5"),
            *_HELD_OUT,
        ),
        overall,
        title=f"Anchors at {size_text(model.image_hw)} px, levels {model.min_level}-"
        f"{model.max_level}",
    )
    yield _what_was_measured(compared, config)
    if compared.fitted.grid.per_cell < config.anchors.per_cell:
        yield fewer_shapes_text(compared.fitted.grid.per_cell, config.anchors.per_cell)
    yield _fitted_shapes(compared.fitted)
    fitted, default = compared.reports["fitted"], compared.reports["default"]
    yield _groups("class", fitted.by_class, default.by_class)
    yield _groups("side in px", fitted.by_size, default.by_size)
    levels = [Column(f"P{level}") for level in fitted.positives_by_level]
    means = [
        (name, *(f"{mean:.2f}" for mean in report.positives_by_level.values()))
        for name, report in compared.reports.items()
    ]
    yield Table(
        (Column("anchors", text=True), *levels),
        means,
        title="Positive anchors per object (IoU >= 0.5), by level",
    )


def _what_was_measured(compared: AnchorComparison, config: Config) -> str:
    square, split = compared.square, config.data.train_split
    objects = compared.reports["fitted"].overall.objects
    return "\n".join(
        [
            f"recall, IoU: {objects:,} objects of split '{split}' as in the files",
            f"as drawn: these objects in {compared.draws:,} augmented images, as training sees "
            "them; shapes are fitted to those boxes",
            f"held out: {compared.held_out['fitted'].objects:,} objects not fitted to, as in the "
            f"files: {compared.held_out_name}",
            f"as drawn, {square.too_long:.1%} are longer than {LONGEST_ASPECT:.1f} : 1, beyond any "
            f"square; {square.beyond_reach:.1%} are under IoU {REACH_IOU:g} with these squares, "
            f"{square.too_small:.1%} because they are small",
        ]
    )


def _fitted_shapes(fitted: FittedAnchors) -> Table:
    """Return the fitted shapes by level, each with the number of its objects."""
    grid = fitted.grid
    columns = [Column(f"shape {number}") for number in range(1, grid.per_cell + 1)]
    rows = [
        (
            f"P{level}",
            *(
                f"{height:.0f} x {width:.0f} ({f'{count:,}' if count else 'filler'})"
                for (height, width), count in zip(shapes, counts, strict=True)
            ),
        )
        for level, shapes, counts in zip(grid.levels, grid.shapes, fitted.objects, strict=True)
    ]
    title = "Fitted shapes, height x width in px (objects that each was fitted to)"
    return Table((Column("level", text=True), *columns), rows, title=title)


def _figures(item: AnchorCoverage) -> tuple[str, str, str]:
    return score(item.best_possible_recall), score(item.recall_at_40), score(item.mean_best_iou)


def _held_out(item: AnchorCoverage | None) -> tuple[str, str]:
    if item is None or not item.objects:
        return score(None), score(None)
    return score(item.best_possible_recall), score(item.mean_best_iou)


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


def _curve(compared: AnchorComparison) -> Table:
    recommended = knee(compared.curve)
    note = "<- enough: one more adds under half a point"
    rows = [
        (
            str(point.per_cell),
            *_figures(point.coverage),
            *_held_out(point.held_out),
            note if point.per_cell == recommended else "",
        )
        for point in compared.curve
    ]
    return Table(
        (Column("per cell"), *_FIGURES, *_HELD_OUT, Column("", text=True)),
        rows,
        title="Fitted anchors: boxes as drawn, and held out",
    )


def _toml(grid: AnchorGrid) -> str:
    import tomli_w

    header = (
        f"# Fitted by 'edge-retina anchors' for {size_text(grid.image_hw)} px: height, width by "
        "level.\n"
    )
    return header + tomli_w.dumps({"anchors": {"per_cell": grid.per_cell, "shapes": grid.shapes}})
