"""Options of commands that work on one split of DATA."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from edge_retina.datasets.schema import Example

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


def load_split(
    data: Path, split: str, *, skip_invalid: bool, seed: int | None
) -> tuple[tuple[Example, ...], tuple[str, ...]]:
    """Return the examples of a split and the labels of the data set.

    Raises:
        DatasetError: the data set can't be read, or has no such split.
    """
    from edge_retina.datasets import load_dataset

    dataset = load_dataset(data, skip_invalid=skip_invalid, seed=seed or 0)
    return dataset.split(split), dataset.labels
