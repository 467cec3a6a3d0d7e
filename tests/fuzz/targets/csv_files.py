"""The CSV reader."""

from __future__ import annotations

from pathlib import Path

from tests.fuzz.target import Target
from tests.fuzz.targets.data_set import check_data_set


def check(content: bytes, name: str, directory: Path) -> None:
    """Put the file where it belongs, with what goes with it, and read the data set."""
    check_data_set(directory, {"train.csv": content})


TARGET = Target("csv_files", check, share=0.2)
