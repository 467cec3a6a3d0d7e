"""Options of commands that work on one split of DATA."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any])


def split_option(command: _Command) -> _Command:
    """Add `--split NAME`, passed as `split`: str."""
    return click.option("--split", default="test", show_default=True, help="Split to measure on.")(
        command
    )


def skip_invalid_option(command: _Command) -> _Command:
    """Add `--skip-invalid`, passed as `skip_invalid`: bool."""
    return click.option(
        "--skip-invalid",
        is_flag=True,
        help="Drop invalid boxes and images with a warning instead of stopping.",
    )(command)
