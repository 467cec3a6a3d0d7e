"""Fixtures that tests of several packages share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


@pytest.fixture(scope="session")
def make_retinanet() -> Callable[..., Any]:
    """Build a small float RetinaNet, fresh or with random BatchNorm; see `build`."""
    import numpy as np

    from edge_retina.boxes.anchors import AnchorGrid
    from edge_retina.config import ModelConfig

    def build(
        *,
        image_size: int = 64,
        max_level: int = 5,
        head_depth: int = 1,
        num_classes: int = 3,
        random_batchnorm: bool = True,
    ) -> tuple[Any, AnchorGrid]:
        """Return the model and its anchors: two shapes a cell, 16 channels, levels from 3 on."""
        from edge_retina.model.keras import keras
        from edge_retina.model.retinanet import build_retinanet

        shapes = tuple(
            ((4.0 * 2**level, 4.0 * 2**level), (6.0 * 2**level, 3.0 * 2**level))
            for level in range(3, max_level + 1)
        )
        grid = AnchorGrid(image_size, 3, shapes)
        settings = ModelConfig(
            image_size=image_size, max_level=max_level, fpn_channels=16, head_depth=head_depth
        )
        keras.utils.set_random_seed(0)
        model = build_retinanet(settings, num_classes=num_classes, anchors=grid)
        rng = np.random.default_rng(0)
        for layer in model.layers:
            if random_batchnorm and isinstance(layer, keras.layers.BatchNormalization):
                gamma, beta, mean, variance = layer.get_weights()
                layer.set_weights(
                    [
                        rng.uniform(0.5, 1.5, gamma.shape),
                        rng.normal(0, 0.3, beta.shape),
                        rng.normal(0, 0.3, mean.shape),
                        rng.uniform(0.5, 1.5, variance.shape),
                    ]
                )
        return model, grid

    return build
