"""`edge-retina design`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_retina.benchmark.device_options import DeviceOptions
from edge_retina.benchmark.runner import device_usages, open_runner
from edge_retina.boxes.anchors import size_text
from edge_retina.cli.data import skip_invalid_option
from edge_retina.cli.models import backend_option, threads_option
from edge_retina.cli.options import (
    STDOUT,
    debug_option,
    emit_json,
    emit_text,
    json_option,
    out_option,
    seed_option,
    set_option,
)
from edge_retina.cli.terminal import show
from edge_retina.config import Config, load_config
from edge_retina.errors import BenchmarkError
from edge_retina.report.plain_text import Block
from edge_retina.report.tables import MISSING, Column, Table, milliseconds
from edge_retina.workflow.configuration import with_seed

if TYPE_CHECKING:
    from edge_retina.datasets import Example
    from edge_retina.design.choice import Choice
    from edge_retina.design.search import Design

_CONFIG, _PICTURE, _TABLE = "config.toml", "front.svg", "op_table.json"
_MOST_ROWS = 16  # of the front on a terminal; the JSON has all networks


@click.command("design")
@click.option(
    "--budget-ms",
    type=float,
    required=True,
    help="Time of one detection: preparing a 640x480 picture, network, decoding and NMS; the "
    "median that 'edge-retina benchmark' shows.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Data set whose objects decide how large the input must be.",
)
@click.option(
    "--classes",
    type=click.IntRange(min=1),
    help="Number of classes, without --data.  [default: 3]",
)
@click.option(
    "--device",
    metavar="DEVICE",
    default="local",
    show_default=True,
    help=f"Device to time on: {device_usages()}; it must run Python.",
)
@click.option(
    "--device-python",
    metavar="PATH",
    default=DeviceOptions.python,
    show_default=True,
    help="Python on an ssh device, with numpy, opencv-python-headless and ai-edge-litert.",
)
@threads_option
@backend_option
@click.option(
    "--finalists",
    type=click.IntRange(min=1),
    default=4,
    show_default=True,
    help="So many networks at the most are exported and timed whole.",
)
@click.option(
    "--op-table",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help=f"Times of single layers on this device: used if it is there, else written.  [default: "
    f"{_TABLE} in --out]",
)
@out_option(
    f"Directory for {_CONFIG}, {_PICTURE}, the op table and the exported files.", default="design"
)
@set_option
@skip_invalid_option
@json_option
@seed_option
@debug_option
def command(
    budget_ms: float,
    data: Path | None,
    classes: int | None,
    device: str,
    device_python: str,
    threads: int,
    backend: str,
    finalists: int,
    op_table: Path | None,
    out: Path,
    overrides: tuple[str, ...],
    skip_invalid: bool,
    json_target: str | None,
    seed: int | None,
) -> None:
    """Find the largest network that a device runs within a time, and write its config.

    Time doesn't depend on weights, so nothing is trained. Single layers are timed on the device.
    From them the time of every network of a grid is predicted. The best ones are exported with
    random weights and timed whole. "Largest" is by multiplications (MACs), which is not accuracy:
    see docs/design.md. --set model.backbone_width=0.5 keeps a field of the grid fixed; other
    fields go into the config as they are.

    It takes some minutes: about one for each finalist, and one for the layers, which are kept.

    Example: edge-retina design --budget-ms 20 --device ssh:pi@192.168.1.20 --data data/bccd
    """
    if not 0 < budget_ms < float("inf"):
        raise BenchmarkError(f"--budget-ms {budget_ms:g}: expected milliseconds above 0, e.g. 20")
    if data is not None and classes is not None:
        raise click.UsageError("--classes goes without --data, which has its own classes")
    overrides = with_seed(overrides, seed)
    if skip_invalid:  # the config that is written has to take the same data
        overrides = (*overrides, "data.skip_invalid=true")
    config = load_config(overrides=overrides)
    examples, labels = _objects(data, classes or 3, config)
    with contextlib.closing(open_runner(device, DeviceOptions(python=device_python))) as runner:
        # TensorFlow is imported from here on
        from edge_retina.design.grid import iterate_fixed
        from edge_retina.design.search import Request, search

        design = search(
            Request(
                base=config,
                fixed=frozenset(iterate_fixed(overrides)),
                labels=labels,
                examples=examples,
                budget_ms=budget_ms,
                backend=backend,
                threads=threads,
                finalists=finalists,
                out=out,
                table_file=op_table or out / _TABLE,
            ),
            runner,
            lambda text: click.echo(text, err=True),
        )
    _write(design, data, out)
    if json_target != STDOUT:
        show(*_blocks(design, out))
    emit_json(design.to_dict(), json_target)


def _objects(
    data: Path | None, classes: int, config: Config
) -> tuple[Sequence[Example], tuple[str, ...]]:
    """Return the training split of a data set and its labels, or no images and made-up labels."""
    if data is None:
        return (), tuple(f"class {number}" for number in range(1, classes + 1))
    from edge_retina.datasets import load_dataset
    from edge_retina.datasets.objects import boxes_at_input
    from edge_retina.errors import DatasetError

    dataset = load_dataset(data, skip_invalid=config.data.skip_invalid, seed=config.seed)
    examples = dataset.split(config.data.train_split)
    if not len(boxes_at_input(examples, config.model.image_hw)):
        raise DatasetError(
            f"{data}: split '{config.data.train_split}' has no object; name another with --set "
            "data.train_split=..., or leave --data out"
        )
    return examples, dataset.labels


def _write(design: Design, data: Path | None, out: Path) -> None:
    from edge_retina.design.config_text import config_text
    from edge_retina.design.picture import front_picture

    data_path = "" if data is None else os.path.relpath(data.resolve(), out.resolve())
    emit_text("--out", out / _CONFIG, config_text(design, data_path=data_path))
    emit_text("--out", out / _PICTURE, front_picture(design))


def _blocks(design: Design, out: Path) -> Iterator[Block]:
    chosen = design.chosen
    yield (
        f"{len(design.choices)} of {design.looked_at} networks were predicted for "
        f"{design.budget_ms:g} ms on "
        f"{design.device} ({design.environment.cpu}, {design.backend}, threads {design.threads})"
    )
    yield _networks(_rows(design), design)
    if chosen.fit is not None:
        yield _sizes(design)
    took = chosen.measured_ms or 0.0
    yield "\n".join(
        [
            f"chosen: {chosen.title}, {took:.2f} ms measured ({took / design.budget_ms:.0%} of the "
            f"budget); measured times are {design.ratio:.2f} of the predicted ones",
            f"file:    {design.file} (random weights: for timing only)",
            f"picture: {out / _PICTURE}",
            f"config:  {out / _CONFIG}",
            _next(out, has_data=chosen.fit is not None),
        ]
    )


def _next(out: Path, *, has_data: bool) -> str:
    more = "" if has_data else " --set data.path=DATA"
    return f"next:    edge-retina train {out / _CONFIG}{more} --out RUN"


def _rows(design: Design) -> list[Choice]:
    """Return the front and the finalists; of a long front, the part around the budget."""
    from edge_retina.design.choice import predicted

    titles = {choice.title for choice in (*design.front, *design.measured)}
    found = [choice for choice in design.choices if choice.title in titles]
    near = sorted(
        found,
        key=lambda choice: (
            choice.measured_ms is None,
            abs(predicted(choice) * design.ratio - design.budget_ms),
        ),
    )[:_MOST_ROWS]
    kept = {choice.title for choice in near}
    return [choice for choice in found if choice.title in kept]


def _networks(rows: Sequence[Choice], design: Design) -> Table:
    from edge_retina.design.choice import predicted

    shares = (Column("learnable"), Column("covered")) if design.chosen.fit is not None else ()
    columns = (
        *map(Column, ("width", "input", "levels", "channels", "depth", "anchors")),
        Column("MMAC"),
        Column("predicted ms"),
        Column("measured ms"),
        *shares,
        Column("", text=True),
    )
    cells = []
    for choice in rows:
        model, fit = choice.network.config.model, choice.fit
        cells.append(
            (
                f"{model.backbone_width:g}",
                size_text(model.image_hw),
                f"{model.min_level}-{model.max_level}",
                str(model.fpn_channels),
                str(model.head_depth),
                str(choice.network.per_cell),
                f"{choice.capacity_macs / 1e6:.0f}",
                milliseconds(predicted(choice)),
                MISSING if choice.measured_ms is None else milliseconds(choice.measured_ms),
                *(() if fit is None else (f"{fit.learnable:.1%}", f"{fit.covered:.1%}")),
                "<- chosen" if choice.title == design.chosen.title else "",
            )
        )
    return Table(columns, cells, title="Pareto front near the budget, and what was measured")


def _sizes(design: Design) -> Table:
    """Return the sizes of the objects at each input size of the networks that are shown."""
    columns = (
        Column("input"),
        Column("5 %"),
        Column("25 %"),
        Column("median side"),
        Column("75 %"),
        Column("95 %"),
        Column("in cells of 8 px", text=True),
        Column("under 8 px"),
    )
    by_size = {
        choice.network.config.model.image_hw: choice.fit
        for choice in design.choices
        if choice.fit is not None and choice.network.config.model.min_level == 3
    }
    rows = []
    for image_hw, fit in sorted(by_size.items()):
        if fit is None:
            continue
        cells = fit.sides_cells(3)
        rows.append(
            (
                size_text(image_hw),
                *(f"{side:.0f} px" for side in fit.sides_px),
                f"{cells[0]:.1f} ... {cells[2]:.1f} ... {cells[-1]:.1f}",
                f"{1 - fit.learnable:.1%}",
            )
        )
    return Table(columns, rows, title="Sizes of the objects at the network's input")
