"""One function that writes a data set in any layout."""

from __future__ import annotations

from pathlib import Path

from edge_retina.datasets.layouts import LAYOUTS
from edge_retina.datasets.output_directory import new_directory
from edge_retina.datasets.schema import Dataset
from edge_retina.errors import DatasetError, choices_hint


def write_dataset(
    dataset: Dataset, out: Path | str, *, layout: str, force: bool = False
) -> tuple[str, ...]:
    """Write a data set; reading the result gives the same one, with boxes to 0.01 px.

    Args:
        dataset: what to write.
        out: a new directory.
        layout: name of a layout, see `layouts.LAYOUTS`.
        force: replace `out` if it exists.

    Returns:
        One line for each thing that the layout can't express.

    Raises:
        DatasetError: unknown layout, `out` not empty, or `out` holds the data set itself.
    """
    if layout not in LAYOUTS:
        raise DatasetError(f"unknown layout '{layout}'; {choices_hint(layout, LAYOUTS)}")
    out = Path(out)
    if dataset.root.resolve().is_relative_to(out.resolve()):
        raise DatasetError(f"{out}: contains the data set to convert; choose another directory")
    with new_directory(out, force=force) as directory:
        return LAYOUTS[layout].write(dataset, directory)
