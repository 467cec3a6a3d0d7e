"""Optimisers with decoupled weight decay that spares biases and normalisation."""

from __future__ import annotations

from edge_retina.config import TrainConfig
from edge_retina.model.keras import keras, tf


def build_optimizer(train: TrainConfig, model: keras.Model) -> keras.optimizers.Optimizer:
    """Build SGD with Nesterov momentum or AdamW for `model`; the learning rate is set each step.

    Source of the decay rule: Loshchilov & Hutter 2019, Decoupled Weight Decay Regularization.
    """
    settings = {
        "learning_rate": train.learning_rate,
        "weight_decay": train.weight_decay or None,
        "global_clipnorm": train.clip_norm or None,
    }
    if train.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(momentum=train.momentum, nesterov=True, **settings)
    else:
        settings["weight_decay"] = train.weight_decay
        optimizer = keras.optimizers.AdamW(**settings)
    optimizer.exclude_from_weight_decay(var_list=undecayed(model.trainable_variables))
    optimizer.build(model.trainable_variables)
    return optimizer


def undecayed(variables: list[tf.Variable]) -> list[tf.Variable]:
    """Return biases, scales and shifts: every variable with one axis."""
    return [variable for variable in variables if len(variable.shape) <= 1]
