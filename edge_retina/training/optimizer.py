"""Optimizers with decoupled weight decay that spares biases and normalisation."""

from __future__ import annotations

from collections.abc import Sequence

from edge_retina.choices import OPTIMIZERS, load_choice
from edge_retina.config import TrainConfig
from edge_retina.model.keras import keras, tf


def build_optimizer(
    settings: TrainConfig, variables: Sequence[tf.Variable]
) -> keras.optimizers.Optimizer:
    """Build the optimizer of `settings` for some variables; the learning rate is set each step.

    Source of the decay rule: Loshchilov & Hutter 2019, Decoupled Weight Decay Regularization.
    """
    optimizer = load_choice(OPTIMIZERS, settings.optimizer)(settings)
    optimizer.exclude_from_weight_decay(var_list=undecayed(variables))
    optimizer.build(list(variables))
    return optimizer


def undecayed(variables: Sequence[tf.Variable]) -> list[tf.Variable]:
    """Return biases, scales and shifts: every variable with one axis."""
    return [variable for variable in variables if len(variable.shape) <= 1]


def adamw(settings: TrainConfig) -> keras.optimizers.Optimizer:
    """Return AdamW with Keras' betas."""
    return keras.optimizers.AdamW(
        settings.learning_rate,
        weight_decay=settings.weight_decay,
        global_clipnorm=settings.clip_norm or None,
    )


def sgd(settings: TrainConfig) -> keras.optimizers.Optimizer:
    """Return SGD with Nesterov momentum."""
    return keras.optimizers.SGD(
        settings.learning_rate,
        momentum=settings.momentum,
        nesterov=True,
        weight_decay=settings.weight_decay or None,
        global_clipnorm=settings.clip_norm or None,
    )
