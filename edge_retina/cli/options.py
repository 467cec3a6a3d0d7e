"""Options shared by several commands, so that each has one spelling and one help text.

Commands receive their values as `json_target`, `seed`, `image_hw`, `overrides` and `out`. `--debug`
is handled here and is not passed on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from edge_retina.boxes.anchors import size_text
from edge_retina.cli.logs import configure_logging
from edge_retina.errors import EdgeRetinaError
from edge_retina.files import dump_json, write_json, write_text

STDOUT = "-"

_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass
class Session:
    """The settings of one call of the program; the root context's `obj`.

    Attributes:
        debug: show tracebacks of errors.
    """

    debug: bool = False


def debug_option(command: _Command) -> _Command:
    """Add `--debug`: tracebacks and detailed logs."""
    return click.option(
        "--debug",
        is_flag=True,
        envvar="EDGE_RETINA_DEBUG",
        expose_value=False,
        callback=_start_debugging,
        help="Show tracebacks and detailed logs.",
    )(command)


def _start_debugging(context: click.Context, _parameter: click.Parameter, debug: bool) -> None:
    session = context.find_root().obj
    if debug and isinstance(session, Session):  # a command that a test calls alone has none
        session.debug = True
        configure_logging(debug=True)


def json_option(command: _Command) -> _Command:
    """Add `--json F`, passed as `json_target`: str | None, for `emit_json`."""
    return click.option(
        "--json",
        "json_target",
        metavar="FILE",
        type=click.Path(dir_okay=False, allow_dash=True),
        help="Write the results as JSON to FILE; '-' is standard output.",
    )(command)


def seed_option(command: _Command) -> _Command:
    """Add `--seed N`, passed as `seed`: int | None; None keeps the seed of the config."""
    return click.option(
        "--seed",
        type=click.IntRange(min=0, max=2**32 - 1),
        help="Random seed. Default: the seed of the config; 0 without a config.",
    )(command)


def image_size_option(
    default: tuple[int, int] | None = None,
) -> Callable[[_Command], _Command]:
    """Return `--image-size N|HxW`, passed as `image_hw`: (height, width), or None if not given."""
    settings: dict[str, Any] = (
        {} if default is None else {"default": size_text(default), "show_default": True}
    )
    return click.option(
        "--image-size",
        "image_hw",
        metavar="N|HxW",
        callback=_parse_size,
        help="Input size in pixels: one number for a square, or HEIGHTxWIDTH.",
        **settings,
    )


def _parse_size(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> tuple[int, int] | None:
    if value is None:
        return None
    sides = value.lower().split("x")
    if len(sides) > 2 or not all(side.strip().isdecimal() for side in sides):
        raise click.BadParameter(f"{value!r} is neither a number nor HEIGHTxWIDTH, e.g. 192x320")
    return int(sides[0]), int(sides[-1])


def set_option(command: _Command) -> _Command:
    """Add `--set key=value`, repeatable, passed as `overrides`: tuple[str, ...]."""
    return click.option(
        "--set",
        "overrides",
        metavar="KEY=VALUE",
        multiple=True,
        help="Override a config field, e.g. --set train.epochs=3. Can be repeated.",
    )(command)


def init_option(command: _Command) -> _Command:
    """Add `--init RUN|FILE`, passed as `init`: str | None; None keeps that of the config."""
    return click.option(
        "--init",
        metavar="RUN|FILE",
        help="Start from a trained detector, not from ImageNet: a run directory, or its "
        "float/best.h5. Same as --set train.init=...",
    )(command)


def out_option(
    help_text: str, *, required: bool = True, default: str | None = None
) -> Callable[[_Command], _Command]:
    """Return a decorator that adds `--out PATH`, passed as `out`: Path | None.

    Args:
        help_text: what the command writes there.
        required: whether the option must be given; ignored if there is a default.
        default: the value without the option; shown in the help.
    """
    # click treats `default=None` as a default, so a required option would never be missing.
    settings: dict[str, Any] = (
        {"required": required} if default is None else {"default": default, "show_default": True}
    )
    return click.option(
        "--out", metavar="PATH", type=click.Path(path_type=Path), help=help_text, **settings
    )


def emit_json(value: Any, target: str | None) -> None:
    """Write `value` as JSON to `target`: a file, '-' for standard output, or None for nowhere.

    Raises:
        EdgeRetinaError: the file can't be written.
    """
    if target is None:
        return
    if target == STDOUT:
        click.echo(dump_json(value), nl=False)
        return
    try:
        write_json(target, value)
    except OSError as error:
        reason = error.strerror or error
        raise EdgeRetinaError(
            f"--json {target}: can't be written ({reason}); use another file"
        ) from None


def emit_text(option: str, path: Path, text: str) -> None:
    """Write `text` to the file that `option` names.

    Raises:
        EdgeRetinaError: the file can't be written.
    """
    try:
        write_text(path, text)
    except OSError as error:
        reason = error.strerror or error
        raise EdgeRetinaError(
            f"{option} {path}: can't be written ({reason}); name another file"
        ) from None
