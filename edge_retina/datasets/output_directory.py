"""A directory that appears whole or not at all."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_retina.errors import DatasetError
from edge_retina.files import naming_full_disk
from edge_retina.staging import KEPT, staging_directory


@contextmanager
def new_directory(out: Path | str, *, force: bool = False) -> Iterator[Path]:
    """Give a temporary directory beside `out`; rename it to `out` when the block ends well.

    On an error the temporary directory is removed and `out` stays as it was.

    Args:
        out: the directory to make; may exist if it is empty.
        force: replace what is there, after the new one is whole. Only files and directories that
            the new one has too are taken for an older result.

    Raises:
        DatasetError: `out` has something in it and `force` is not given, or something that is no
            older result.
    """
    out = Path(os.path.abspath(out))
    if out.exists() and not out.is_dir():
        raise DatasetError(f"{out}: is a file; expected the name of a new directory")
    if out.is_dir() and any(out.iterdir()) and not force:
        raise DatasetError(
            f"{out}: exists and is not empty; choose another directory or pass --force"
        )
    with staging_directory(out) as temporary:
        fresh = temporary / "new"  # made by mkdir, so with the permissions the user is used to
        fresh.mkdir()
        with naming_full_disk(out):
            yield fresh
        if out.is_dir():
            _refuse_losing(out, fresh)
            out.rename(temporary / KEPT)
        fresh.rename(out)


def _refuse_losing(old: Path, new: Path) -> None:
    kinds = {_without_numbers(path.name) for path in new.iterdir()}
    foreign = sorted(
        path.name for path in old.iterdir() if _without_numbers(path.name) not in kinds
    )
    if foreign:
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        raise DatasetError(
            f"{old}: --force would delete {foreign[0]}{more}, which the new directory doesn't "
            "have; move that away, or choose another directory"
        )


def _without_numbers(name: str) -> str:
    """Return a name without its numbers: an older result may have other shards."""
    return re.sub(r"\d+", "", name)
