"""The TFRecord reader: a shard, or its label map."""

from __future__ import annotations

from pathlib import Path

from tests.fuzz.target import CORPUS, Target
from tests.fuzz.targets.data_set import check_data_set


def check(content: bytes, name: str, directory: Path) -> None:
    """Put the file where it belongs, with what goes with it, and read the data set."""
    shard = (CORPUS / "tfrecord" / "train-00000-of-00001.tfrecord").read_bytes()
    files = {"train-00000-of-00001.tfrecord": shard, name: content}
    check_data_set(directory, files, pictures=False)


TARGET = Target("tfrecord", check, share=0.2)
