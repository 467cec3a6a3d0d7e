"""tfmot's own recipe on our deploy graph, to compare with: `quantize_model` and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow_model_optimization as tfmot

from edge_retina.config import Config
from edge_retina.datasets.schema import Example
from edge_retina.input_pipeline.pipeline import training_batches
from edge_retina.model.deploy import build_deploy_graph, join_levels
from edge_retina.model.keras import keras, tf
from edge_retina.model.predictor import anchor_grid
from edge_retina.quantization.qat_step import make_qat_step
from edge_retina.training.schedule import learning_rate_at


def quantize_with_tfmot(
    trained: keras.Model, config: Config, train: Sequence[Example], *, steps: int
) -> keras.Model:
    """Train the graph that `quantize_model` makes, with our loss, batches and learning rate.

    Ranges start where tfmot puts them (-6..6) and follow with its decay of .999.
    """
    keras.utils.set_random_seed(config.seed)
    model = tfmot.quantization.keras.quantize_model(build_deploy_graph(trained))
    settings = config.quantize
    anchors_px: np.ndarray = anchor_grid(config).boxes_px()
    optimizer = keras.optimizers.AdamW(
        settings.learning_rate, weight_decay=0.0, global_clipnorm=config.train.clip_norm or None
    )
    optimizer.build(model.trainable_variables)
    qat_step = make_qat_step(
        join_levels(model),
        join_levels(build_deploy_graph(trained)),
        optimizer,
        variables=model.trainable_variables,
        anchors_px=anchors_px,
        loss=config.loss,
        distillation=settings.distillation,
    )
    batches = iter(
        training_batches(
            train,
            grid=anchor_grid(config),
            data=config.data,
            augmentation=config.augmentation,
            matching=config.matching,
            batch_size=config.train.batch_size,
            seed=config.seed,
        )
    )
    for step in range(steps):
        rate = learning_rate_at(
            step,
            peak=settings.learning_rate,
            total_steps=steps,
            warmup_steps=settings.warmup_steps,
            final_fraction=config.train.final_learning_rate,
        )
        qat_step(*next(batches), tf.constant(rate))
    return model
