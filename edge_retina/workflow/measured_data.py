"""The split of a data set that a model is measured on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge_retina.datasets import load_dataset
from edge_retina.datasets.schema import Dataset, Example


def load_split(
    data: Path | str | Dataset, split: str, *, skip_invalid: bool, seed: int | None
) -> tuple[Sequence[Example], tuple[str, ...]]:
    """Return the examples of a split and the labels of the data set.

    Args:
        data: a data set, or where it is.
        split: name of the split.
        skip_invalid: see `load_dataset`; of a data set that is to be read.
        seed: likewise; None for 0.

    Raises:
        DatasetError: the data set can't be read, or has no such split.
    """
    if not isinstance(data, Dataset):
        data = load_dataset(data, skip_invalid=skip_invalid, seed=seed or 0)
    return data.split(split), data.labels


def data_path(data: Path | str | Dataset) -> Path:
    """Return where a data set is, as the user named it."""
    return data.root if isinstance(data, Dataset) else Path(data)
