"""dataset.toml, which describes a layout."""

from __future__ import annotations

from pathlib import Path

from tests.fuzz.target import CORPUS, Target
from tests.fuzz.targets.data_set import check_data_set


def check(content: bytes, name: str, directory: Path) -> None:
    """Put the file where it belongs, with what goes with it, and read the data set."""
    xml = (CORPUS / "voc" / "a.xml").read_bytes()
    check_data_set(directory, {"dataset.toml": content, "Annotations/a.xml": xml})


TARGET = Target("dataset_toml", check, share=0.2)
