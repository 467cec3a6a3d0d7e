"""Optimizers with decoupled weight decay that spares biases and normalisation.

The learning rate of single variables can be a multiple of that of the others.
"""

from __future__ import annotations

from collections.abc import Sequence

from edge_retina.choices import OPTIMIZERS, load_choice
from edge_retina.config import TrainConfig
from edge_retina.model.keras import keras, tf
from edge_retina.model.keras_internals import PerVariableRate


class AdamW(PerVariableRate, keras.optimizers.AdamW):
    """AdamW; see `PerVariableRate`."""


class SGD(PerVariableRate, keras.optimizers.SGD):
    """SGD; see `PerVariableRate`."""


def build_optimizer(
    settings: TrainConfig,
    variables: Sequence[tf.Variable],
    *,
    backbone: Sequence[tf.Variable] = (),
    steps: int = 0,
) -> keras.optimizers.Optimizer:
    """Build the optimizer of `settings` for some variables; the learning rate is set each step.

    Args:
        settings: `backbone_learning_rate` among them.
        variables: all that are trained.
        backbone: those of them whose learning rate is multiplied by `backbone_learning_rate`.
        steps: of the training; `backbone_warmup` is a fraction of them.

    Source of the decay rule: Loshchilov & Hutter 2019, Decoupled Weight Decay Regularization.
    """
    optimizer = load_choice(OPTIMIZERS, settings.optimizer)(settings)
    rise_steps = round(settings.backbone_warmup * steps)
    if backbone and (settings.backbone_learning_rate != 1 or rise_steps):
        optimizer.multiply_rate(backbone, settings.backbone_learning_rate, rise_steps=rise_steps)
    optimizer.exclude_from_weight_decay(var_list=undecayed(variables))
    optimizer.build(list(variables))
    return optimizer


def undecayed(variables: Sequence[tf.Variable]) -> list[tf.Variable]:
    """Return biases, scales and shifts: every variable with one axis."""
    return [variable for variable in variables if len(variable.shape) <= 1]


def adamw(settings: TrainConfig) -> keras.optimizers.Optimizer:
    """Return AdamW with Keras' betas."""
    return AdamW(
        settings.learning_rate,
        weight_decay=settings.weight_decay,
        global_clipnorm=settings.clip_norm or None,
    )


def sgd(settings: TrainConfig) -> keras.optimizers.Optimizer:
    """Return SGD with Nesterov momentum."""
    return SGD(
        settings.learning_rate,
        momentum=settings.momentum,
        nesterov=True,
        weight_decay=settings.weight_decay or None,
        global_clipnorm=settings.clip_norm or None,
    )
