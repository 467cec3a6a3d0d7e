"""The losses on fixed images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_retina.config import load_config
from edge_retina.datasets import load_dataset
from edge_retina.datasets.generated import generate_dataset
from tests.training.tiny_backbone import use_tiny_backbone

pytestmark = pytest.mark.tf


@pytest.fixture
def probe(
    make_retinanet: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Any:
    """Of two batches of three images a set, but one of two from the validation split."""
    from edge_retina.training.probe import Probe

    use_tiny_backbone(monkeypatch)
    generate_dataset(tmp_path / "data", images={"train": 8, "val": 2}, image_hw=(96, 128))
    dataset = load_dataset(tmp_path / "data")
    model, grid = make_retinanet(num_classes=len(dataset.labels))
    overrides = ["train.probe_images=7", "train.batch_size=3", "model.pretrained=none"]
    config = load_config(overrides=overrides)
    train, val = (dataset.split(name) for name in ("train", "val"))
    return Probe(model, config=config, grid=grid, train=train, val=val)


def test_the_same_each_time_and_the_model_stays(probe: Any) -> None:
    weights = [value.copy() for value in probe._model.get_weights()]
    found = probe.measure()
    for value, before in zip(probe._model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(value, before)
    assert probe.measure() == found
    assert set(found) == {"train", "augmented", "val", "batch_statistics"}
    assert all(set(losses) == {"cls_loss", "box_loss"} for losses in found.values())
    assert [len(probe._batches[name]) for name in ("train", "augmented", "val")] == [2, 2, 1]
    assert [len(probe._batches[name][0][0]) for name in ("train", "augmented", "val")] == [3, 3, 2]
    values = [losses["cls_loss"] for losses in found.values()]
    assert len(set(values)) == 4, "four measurements, not one"


def test_the_losses_are_those_of_the_objective(probe: Any) -> None:
    from edge_retina.config import LossConfig
    from edge_retina.training.objective import detection_objective

    found = probe.measure()
    objective = detection_objective(
        probe._model, anchors_px=probe._grid.boxes_px(), loss=LossConfig(), training=False
    )
    losses = [float(objective(*batch).losses["box_loss"]) for batch in probe._batches["train"]]
    assert found["train"]["box_loss"] == pytest.approx(np.mean(losses), rel=1e-4)


def test_batch_statistics_show_wrong_ones(probe: Any) -> None:
    """Statistics that don't fit make the losses in use other than those in training."""
    before = probe.measure()
    for layer in probe._model.layers:
        if hasattr(layer, "moving_variance"):
            layer.moving_variance.assign(layer.moving_variance * 100)
    after = probe.measure()
    assert after["train"] != before["train"]
    assert after["batch_statistics"] == before["batch_statistics"]
