from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.boxes.codec import decode
from edge_retina.config import LossConfig, MatchingConfig, TrainConfig

pytestmark = pytest.mark.tf

GRID = AnchorGrid((32, 32), 3, (((12.0, 12.0),),))  # 4 x 4 cells, one shape
ANCHORS = GRID.boxes_px()


def network() -> Any:
    """A detector of two layers, with a BatchNorm."""
    from edge_retina.model.keras import keras

    keras.utils.set_random_seed(0)
    image = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(16, 8, strides=8)(image)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    outputs = [
        keras.layers.Reshape((16, width))(keras.layers.Conv2D(width, 3, padding="same")(x))
        for width in (2, 4)
    ]
    return keras.Model(image, outputs)


def batch() -> tuple[Any, ...]:
    """Two pictures of noise with one object each, classes 0 and 1."""
    from edge_retina.input_pipeline.targets import make_assign_targets
    from edge_retina.model.keras import tf

    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)
    boxes = ((5.0, 4.0, 18.0, 16.0), (14.0, 15.0, 27.0, 28.0))
    assign_targets = make_assign_targets(GRID, MatchingConfig())
    targets = [
        assign_targets(tf.constant([box]), tf.constant([label]), tf.constant([False]))
        for label, box in enumerate(boxes)
    ]
    return (tf.constant(images), *(tf.stack(part) for part in zip(*targets, strict=True)))


def step_of(model: Any, **options: Any) -> Any:
    from edge_retina.training.optimizer import build_optimizer
    from edge_retina.training.train_step import make_train_step

    optimizer = build_optimizer(TrainConfig(), model)
    return make_train_step(model, optimizer, anchors_px=ANCHORS, loss=LossConfig(), **options)


def test_two_pictures_are_learnt_by_heart():
    from edge_retina.model.keras import tf

    model, (images, cls_targets, box_targets) = network(), batch()
    step = step_of(model)
    losses = [
        sum(map(float, step(images, cls_targets, box_targets, tf.constant(0.01))))
        for _ in range(150)
    ]
    assert losses[-1] < 0.05 * losses[0]
    cls_logits, box_deltas = model((tf.cast(images, tf.float32) - 128) / 128)
    for number, box in enumerate(((5, 4, 18, 16), (14, 15, 27, 28))):
        best = int(np.argmax(cls_logits[number].numpy().max(axis=1)))
        assert int(np.argmax(cls_logits[number, best])) == number
        found = decode(box_deltas[number].numpy(), ANCHORS)[best]
        np.testing.assert_allclose(found, box, atol=2.0)


def test_the_learning_rate_is_that_of_the_call():
    from edge_retina.model.keras import tf

    model = network()
    before = [v.numpy() for v in model.trainable_variables]
    step = step_of(model)
    step(*batch(), tf.constant(0.0))
    for variable, value in zip(model.trainable_variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)
    step(*batch(), tf.constant(0.1))
    assert any(
        (v.numpy() != b).any() for v, b in zip(model.trainable_variables, before, strict=True)
    )


def test_the_average_follows_slowly_and_faster_at_first():
    from edge_retina.model.keras import tf

    model, average = network(), network()
    average.set_weights(model.get_weights())
    step = step_of(model, average=average, ema_decay=0.25)
    expected = [w.copy() for w in average.get_weights()]
    for count in (1, 2, 3):
        step(*batch(), tf.constant(0.05))
        decay = min(0.25, (1 + count) / (10 + count))  # 2/11, then .25
        expected = [
            decay * mean + (1 - decay) * value
            for mean, value in zip(expected, model.get_weights(), strict=True)
        ]
    for found, want in zip(average.get_weights(), expected, strict=True):
        np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-6)
    assert any(
        not np.allclose(a, m)
        for a, m in zip(average.get_weights(), model.get_weights(), strict=True)
    )


def test_a_loss_that_is_not_finite_changes_no_weight():
    from edge_retina.model.keras import tf

    model, average = network(), network()
    step = step_of(model, average=average, ema_decay=0.9)
    before = [v.numpy() for v in model.trainable_variables], average.get_weights()
    images, cls_targets, box_targets = batch()
    cls_loss, box_loss = step(images, cls_targets, box_targets * np.nan, tf.constant(0.1))
    assert np.isfinite(cls_loss)
    assert not np.isfinite(box_loss)
    for variable, value in zip(model.trainable_variables, before[0], strict=True):
        np.testing.assert_array_equal(variable, value)
    for found, want in zip(average.get_weights(), before[1], strict=True):
        np.testing.assert_array_equal(found, want)
