"""`edge-retina doctor`."""

from __future__ import annotations

from pathlib import Path

import click

from edge_retina.cli.options import (
    STDOUT,
    debug_option,
    emit_json,
    json_option,
    seed_option,
    set_option,
)
from edge_retina.config import ModelConfig, load_config
from edge_retina.errors import EdgeRetinaError
from edge_retina.files import write_text


@click.command("doctor")
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "--image-size",
    type=int,
    help=f"Side of the network's input in pixels; by default {ModelConfig().image_size}.",
)
@click.option(
    "--html",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a report with pictures, charts and links.",
)
@click.option(
    "--write-config",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the advice as a config file, with its reasons.",
)
@set_option
@json_option
@seed_option
@debug_option
def command(
    data: Path,
    image_size: int | None,
    html: Path | None,
    write_config: Path | None,
    overrides: tuple[str, ...],
    json_target: str | None,
    seed: int | None,
) -> None:
    """Say what is wrong with DATA, how well anchors cover it, and what to change.

    Errors stop training or spoil it; warnings cost accuracy or make a metric wrong; notes are worth
    knowing. The exit code is 0 whatever is found.

    Example: edge-retina doctor data/bccd --image-size 320 --html doctor.html
    """
    from edge_retina.doctor.advice import config_patch
    from edge_retina.doctor.examine import examine
    from edge_retina.doctor.page import render_page
    from edge_retina.doctor.text import render_text

    seeded = overrides if seed is None else (*overrides, f"seed={seed}")
    config = load_config(overrides=seeded)
    diagnosis = examine(data, image_size=image_size, config=config)
    if json_target != STDOUT:
        click.echo(render_text(diagnosis))
    if html is not None:
        _write("--html", html, render_page(diagnosis, links_from=html.parent))
    if write_config is not None:
        _write("--write-config", write_config, config_patch(diagnosis.advice))
    emit_json(diagnosis.to_dict(), json_target)


def _write(option: str, path: Path, text: str) -> None:
    try:
        write_text(path, text)
    except OSError as error:
        reason = error.strerror or error
        raise EdgeRetinaError(
            f"{option} {path}: can't be written ({reason}); name another file"
        ) from None
