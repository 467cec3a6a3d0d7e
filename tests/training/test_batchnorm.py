"""A fresh network must be the same in training and in use from the first step on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_retina.benchmark.noise_image import write_noise_image
from edge_retina.runtime.image import load_image, normalize, stretch
from tests.training.tiny_backbone import use_tiny_backbone

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


def test_frozen_statistics_stay_in_a_training(
    make_retinanet: Callable[..., Any], pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_retina.config import LossConfig, TrainConfig
    from edge_retina.model.keras import keras, tf
    from edge_retina.training.batchnorm import freeze_batchnorms
    from edge_retina.training.moving_average import MovingAverage
    from edge_retina.training.objective import detection_objective
    from edge_retina.training.optimizer import build_optimizer
    from edge_retina.training.step import TrainStep

    use_tiny_backbone(monkeypatch)
    (model, grid), (average, _) = make_retinanet(), make_retinanet()
    norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    in_backbone = [x for x in norms if not x.name.startswith(("p", "cls_", "box_"))]
    others = [x for x in norms if x not in in_backbone]
    assert (len(in_backbone), len(others)) == (5, 12)
    freeze_batchnorms(model, "mobilenet_v2")
    assert [x for x in norms if not x.trainable] == in_backbone

    variables = model.trainable_variables
    step = TrainStep(
        detection_objective(model, anchors_px=grid.boxes_px(), loss=LossConfig()),
        variables,
        build_optimizer(TrainConfig(), variables),
        average=MovingAverage(average, model, decay=0.5),
    )
    before = {layer.name: layer.get_weights() for layer in model.layers}
    images = tf.constant(np.stack([stretch(load_image(path), (64, 64)) for path in pictures]))
    anchors = len(grid.boxes_px())
    classes = tf.zeros((8, anchors), tf.int32)
    for _ in range(2):
        step(images, classes, tf.zeros((8, anchors, 4)), learning_rate=0.01)
    for layer in in_backbone:
        for found, kept in zip(layer.get_weights(), before[layer.name], strict=True):
            np.testing.assert_array_equal(found, kept, err_msg=layer.name)
        # A frozen layer's weights stand in another list of Keras; the average must not mix them up.
        averaged = average.get_layer(layer.name).get_weights()
        for found, kept in zip(averaged, before[layer.name], strict=True):
            np.testing.assert_allclose(found, kept, rtol=1e-6, err_msg=layer.name)
    for layer in others:
        for found, kept in zip(layer.get_weights(), before[layer.name], strict=True):
            assert (found != kept).any(), layer.name
    kernel = model.get_layer("block_5_conv").get_weights()[0]
    assert (kernel != before["block_5_conv"][0]).any(), "the backbone itself is trained"


def test_reestimated_statistics_are_the_means_of_those_of_the_batches() -> None:
    from edge_retina.model.keras import keras
    from edge_retina.training.batchnorm import reestimate_statistics

    image = keras.Input((8, 8, 3))
    x = keras.layers.BatchNormalization(name="frozen")(image)
    x = keras.layers.BatchNormalization(name="first", momentum=0.9)(x)
    x = keras.layers.Activation("relu")(x)
    model = keras.Model(image, keras.layers.BatchNormalization(name="second")(x))
    frozen, first, second = (model.get_layer(x) for x in ("frozen", "first", "second"))
    frozen.trainable = False
    frozen.moving_mean.assign([0.5, 0.0, 0.0])
    frozen.moving_variance.assign([4.0, 1.0, 1.0])
    kept = frozen.get_weights()
    first.gamma.assign([2.0, 1.0, 1.0])
    first.moving_mean.assign([9.0, 9.0, 9.0])  # from other weights

    rng = np.random.default_rng(0)
    batches = [rng.integers(0, high, (4, 8, 8, 3)).astype(np.uint8) for high in (64, 128, 256)]
    reestimate_statistics(model, iter(batches))

    scale = np.sqrt(kept[3] + 1e-3)
    seen = [(normalize(batch) - kept[2]) / scale for batch in batches]
    statistics = [(x.mean((0, 1, 2)), x.var((0, 1, 2), ddof=1)) for x in seen]
    mean, variance = (np.mean(part, axis=0) for part in zip(*statistics, strict=True))
    np.testing.assert_allclose(first.moving_mean, mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(first.moving_variance, variance, rtol=1e-3)
    # The second sees what the first makes of each batch in training, by the batch's statistics.
    behind = []
    for x in seen:
        normal = (x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + 1e-3)
        behind.append(np.maximum(normal * [2, 1, 1], 0).mean((0, 1, 2)))
    np.testing.assert_allclose(second.moving_mean, np.mean(behind, axis=0), rtol=1e-3)
    for found, want in zip(frozen.get_weights(), kept, strict=True):
        np.testing.assert_array_equal(found, want)
    assert (first.momentum, second.momentum) == (0.9, 0.99)
    np.testing.assert_array_equal(first.gamma, [2.0, 1.0, 1.0])
