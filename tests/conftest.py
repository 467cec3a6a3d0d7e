"""Fixtures that tests of several packages share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")  # the suite is the same on every machine

# No deadline: the first example of a test may import or compile something.
settings.register_profile("edge_retina", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("edge_retina")


@pytest.fixture
def repository() -> Path:
    """The directory of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data sets that lie beside the checkout on the machines of this project."""
    path = ROOT.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip("the shared data sets (../shared/data) are not on this machine")
    return path


@pytest.fixture(autouse=True)
def _no_debugging(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a developer's own EDGE_RETINA_DEBUG out of tests of error messages."""
    monkeypatch.delenv("EDGE_RETINA_DEBUG", raising=False)
