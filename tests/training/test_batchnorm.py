"""A fresh network must be the same in training and in use from the first step on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_retina.benchmark.noise_image import write_noise_image
from edge_retina.runtime.image import load_image, normalize, stretch

pytestmark = pytest.mark.tf


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    return [write_noise_image(tmp_path / f"{seed}.png", seed=seed) for seed in range(8)]


def batch_of(pictures: list[Path]) -> np.ndarray:
    return np.stack([normalize(stretch(load_image(path), (64, 64))) for path in pictures])


def outputs(model: Any, images: np.ndarray, *, training: bool) -> np.ndarray:
    """Class logits; `training=True` also moves the statistics."""
    return model(images, training=training)[0].numpy()


def test_settled_statistics_are_those_of_the_pictures(
    make_retinanet: Callable[..., Any], pictures: list[Path]
) -> None:
    from edge_retina.model.keras import keras
    from edge_retina.training.batchnorm import settle_statistics

    model, _ = make_retinanet(fresh=True)
    images = batch_of(pictures)
    first = next(x for x in model.layers if isinstance(x, keras.layers.BatchNormalization))
    before = keras.Model(model.input, first.input)(images).numpy()
    settle_statistics(model, pictures)
    np.testing.assert_allclose(first.moving_mean, before.mean((0, 1, 2)), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(first.moving_variance, before.var((0, 1, 2)), rtol=1e-2)
    assert {x.momentum for x in model.layers if hasattr(x, "momentum")} == {0.99}


def test_use_follows_training_from_the_start(
    make_retinanet: Callable[..., Any], pictures: list[Path]
) -> None:
    from edge_retina.training.batchnorm import settle_statistics

    model, _ = make_retinanet(fresh=True)
    images = batch_of(pictures)
    unsettled = outputs(model, images, training=False)
    settle_statistics(model, pictures)
    used = outputs(model, images, training=False)
    trained = outputs(model, images, training=True)
    # Not equal: the moving variance divides by n - 1, and in the deepest layers n is only 32.
    assert np.corrcoef(used.ravel(), trained.ravel())[0, 1] > 0.8
    assert 0.8 < used.std() / trained.std() < 1.2
    assert unsettled.std() < 0.1 * trained.std(), "with Keras' own start the signal dies out"


def test_statistics_of_a_pretrained_layer_stay(
    make_retinanet: Callable[..., Any], pictures: list[Path]
) -> None:
    from edge_retina.training.batchnorm import settle_statistics

    model, _ = make_retinanet(fresh=True)
    layer = model.get_layer("bn_Conv1")
    layer.moving_mean.assign(np.full(layer.moving_mean.shape, 5.0))
    settle_statistics(model, pictures)
    assert layer.moving_mean.numpy().min() > 4.8, "one step of momentum 0.99, no more"
