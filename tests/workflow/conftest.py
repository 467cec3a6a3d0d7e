"""A small data set and config; nothing here imports TensorFlow."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from edge_retina.config import Config, load_config
from edge_retina.datasets.generated import generate_dataset
from edge_retina.input_pipeline.augmentation_effect import examine_augmentation


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `data` is a copy of."""
    path = tmp_path_factory.mktemp("generated") / "data"
    generate_dataset(path, images={"train": 18, "val": 3, "test": 4}, image_hw=(96, 128))
    return path


@pytest.fixture
def data(generated: Path, tmp_path: Path) -> Path:
    """Generated pictures: 18 to train on, 3 to validate, 4 to test."""
    return Path(shutil.copytree(generated, tmp_path / "data"))


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what matters only when a machine goes down; tests/test_files.py looks at that."""
    monkeypatch.setattr(os, "fsync", lambda _file: None)


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw few augmented boxes: preparing a training hundreds of times would draw millions.

    That enough are drawn is the subject of tests/input_pipeline.
    """
    monkeypatch.setattr("edge_retina.input_pipeline.anchor_objects._LEAST_DRAWS", 100)
    monkeypatch.setattr("edge_retina.input_pipeline.anchor_objects._DRAWS_PER_PICTURE", 1)
    monkeypatch.setitem(examine_augmentation.__kwdefaults__, "draws", 40)


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
