"""A small data set and config; nothing here imports TensorFlow."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_retina.config import Config, load_config
from edge_retina.datasets.generated import generate_dataset


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Generated pictures: 18 to train on, 3 to validate, 4 to test."""
    path = tmp_path / "data"
    generate_dataset(path, images={"train": 18, "val": 3, "test": 4}, image_hw=(96, 128))
    return path


@pytest.fixture
def config(data: Path) -> Config:
    """A config for `data`."""
    return load_config(
        overrides=[
            f'data.path="{data}"',
            "model.image_size=64",
            "model.max_level=5",
            "anchors.per_cell=2",
        ]
    )
