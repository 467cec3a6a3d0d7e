"""One model is measured again and again while it is trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_retina.config import ExportConfig
from edge_retina.datasets import load_dataset
from edge_retina.datasets.generated import generate_dataset

pytestmark = pytest.mark.tf


def test_the_network_is_traced_once_and_its_weights_are_read_each_time(
    make_retinanet: Callable[..., Any], tmp_path: Path
) -> None:
    from edge_retina.model.keras import keras
    from edge_retina.training.validation import Validation

    generate_dataset(tmp_path / "data", images={"val": 2}, image_hw=(64, 64))
    data = load_dataset(tmp_path / "data")
    network, grid = make_retinanet(num_classes=len(data.labels))
    traces = []

    class Counting(keras.layers.Layer):
        def call(self, outputs: Any) -> Any:
            traces.append(1)
            return outputs

    model = keras.Model(network.input, Counting()(network.output))
    traces.clear()
    validation = Validation(
        model,
        next(iter(data.splits.values())),
        labels=data.labels,
        anchors=grid,
        export=ExportConfig(score_threshold=0.05),
    )
    before, _ = validation.measure(1, weights=None)
    bias = network.get_layer("cls_out_pw").get_weights()
    network.get_layer("cls_out_pw").set_weights([bias[0], np.full_like(bias[1], -20.0)])
    after, _ = validation.measure(2, weights=None)
    # TensorFlow's own warning of retracing counts over all predictors of a process.
    assert len(traces) == 1
    assert after.mAP == 0.0
    assert before.mAP >= 0.0
