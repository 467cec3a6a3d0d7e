from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from edge_retina.choices import OPTIMIZERS
from edge_retina.config import TrainConfig

pytestmark = pytest.mark.tf

PLAIN = TrainConfig(optimizer="sgd", momentum=0, learning_rate=0.5, weight_decay=0, clip_norm=0)
KERNELS = {"conv/kernel:0", "dw/depthwise_kernel:0"}


@pytest.fixture
def network() -> Any:
    from edge_retina.model.keras import keras

    image = keras.Input((4, 4, 2))
    x = keras.layers.Conv2D(3, 1, name="conv")(image)
    x = keras.layers.BatchNormalization(name="bn")(x)
    model = keras.Model(image, keras.layers.DepthwiseConv2D(3, name="dw")(x))
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(1, 2, w.shape) for w in model.get_weights()])
    return model


def change(network: Any, train: TrainConfig, gradient: float) -> dict[str, np.ndarray]:
    """Take one step with one gradient everywhere; return each variable's (before, after)."""
    from edge_retina.model.keras import tf
    from edge_retina.training.optimizer import build_optimizer

    variables = network.trainable_variables
    before = {variable.name: variable.numpy() for variable in variables}
    optimizer = build_optimizer(train, variables)
    optimizer.apply_gradients([(tf.fill(v.shape, gradient), v) for v in variables])
    return {v.name: (before[v.name], v.numpy()) for v in variables}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_weight_decay_shrinks_kernels_and_nothing_else(network: Any, optimizer: str):
    train = dataclasses.replace(PLAIN, optimizer=optimizer, weight_decay=0.1)
    found = change(network, train, gradient=0.0)
    assert set(found) > KERNELS
    for name, (before, after) in found.items():
        factor = 1 - 0.5 * 0.1 if name in KERNELS else 1.0
        np.testing.assert_allclose(after, factor * before, rtol=1e-6, err_msg=name)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_without_weight_decay_nothing_shrinks(network: Any, optimizer: str):
    train = dataclasses.replace(PLAIN, optimizer=optimizer)
    for before, after in change(network, train, gradient=0.0).values():
        np.testing.assert_array_equal(after, before)


@pytest.mark.parametrize("clip_norm", [0.0, 1.0])
def test_gradients_are_clipped_together(network: Any, clip_norm: float):
    train = dataclasses.replace(PLAIN, clip_norm=clip_norm)
    found = change(network, train, gradient=10.0)
    moved = np.concatenate([(before - after).ravel() for before, after in found.values()])
    norm = np.linalg.norm(moved / train.learning_rate)
    assert norm == pytest.approx(clip_norm or 10 * np.sqrt(moved.size), rel=1e-4)


def test_adamw_steps_by_the_learning_rate(network: Any):
    train = dataclasses.replace(PLAIN, optimizer="adamw", learning_rate=0.01)
    for before, after in change(network, train, gradient=3.0).values():
        np.testing.assert_allclose(before - after, 0.01, rtol=1e-3)  # its first step is the sign


def steps_of(
    network: Any,
    train: TrainConfig,
    *,
    rates: Sequence[float],
    backbone: tuple[str, ...] = (),
    steps: int = 0,
) -> dict[str, np.ndarray]:
    """Take compiled steps with random gradients at given rates; return each variable."""
    from edge_retina.model.keras import tf
    from edge_retina.training.optimizer import build_optimizer

    variables = network.trainable_variables
    start = [variable.numpy() for variable in variables]
    slowed = [variable for variable in variables if variable.name in backbone]
    optimizer = build_optimizer(train, variables, backbone=slowed, steps=steps)

    @tf.function
    def step(learning_rate: Any, gradients: list[Any]) -> None:
        optimizer.learning_rate.assign(learning_rate)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))

    rng = np.random.default_rng(0)
    for rate in rates:
        gradients = [tf.constant(rng.normal(size=v.shape), tf.float32) for v in variables]
        step(tf.constant(rate, tf.float32), gradients)
    found = {variable.name: variable.numpy() for variable in variables}
    for variable, value in zip(variables, start, strict=True):
        variable.assign(value)
    return found


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("multiple", [0.25, 4.0, 0.0])
def test_the_backbone_steps_as_alone_at_its_own_rate(network: Any, optimizer: str, multiple: float):
    """Bit for bit, decay and momentum included; multiples are powers of 2, so rates are equal."""
    backbone = ("conv/kernel:0", "bn/gamma:0")
    train = TrainConfig(
        optimizer=optimizer, weight_decay=0.1, clip_norm=1, backbone_learning_rate=multiple
    )
    rates = [0.01 / number for number in range(1, 6)]
    found = steps_of(network, train, rates=rates, backbone=backbone)
    usual = steps_of(network, train, rates=rates)
    scaled = steps_of(network, train, rates=[rate * multiple for rate in rates])
    assert found.keys() > set(backbone)
    for name, value in found.items():
        want = scaled if name in backbone else usual
        np.testing.assert_array_equal(value, want[name], err_msg=name)
        assert (scaled[name] != usual[name]).any(), name


@pytest.mark.parametrize("multiple", [0.5, 1.0])
def test_the_backbone_warms_up_longer(network: Any, multiple: float):
    """Over half of the eight steps: its multiple is 1/4, 2/4, 3/4, 1, 1 ... of `multiple`."""
    backbone = ("conv/kernel:0", "bn/gamma:0")
    train = TrainConfig(
        weight_decay=0.1, backbone_learning_rate=multiple, backbone_warmup=0.5, clip_norm=1
    )
    rates = [0.01 / number for number in range(1, 9)]
    found = steps_of(network, train, rates=rates, backbone=backbone, steps=8)
    usual = steps_of(network, train, rates=rates)
    rising = [
        multiple * rate * part
        for rate, part in zip(rates, (0.25, 0.5, 0.75, *[1] * 5), strict=True)
    ]
    warmed = steps_of(network, train, rates=rising)
    for name, value in found.items():
        np.testing.assert_allclose(
            value, (warmed if name in backbone else usual)[name], rtol=1e-5, err_msg=name
        )
        assert np.abs(warmed[name] - usual[name]).max() > 1e-3, name
