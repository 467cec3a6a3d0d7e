"""The kills of benchmarks/kill_table.py, for tests."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from edge_retina.datasets.generated import generate_dataset

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="session")
def kill_table() -> Any:
    """The module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        return importlib.import_module("kill_table")


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory, kill_table: Any) -> Path:
    """A few generated pictures."""
    path = tmp_path_factory.mktemp("faults") / "data"
    generate_dataset(path, images=kill_table.IMAGES, image_hw=(96, 128))
    return path
