"""tfmot's own recipe on our deploy graph, to compare with: `quantize_model` and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow_model_optimization as tfmot

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.config import Config
from edge_retina.datasets.schema import Example
from edge_retina.model.deploy import build_deploy_graph, join_levels
from edge_retina.model.keras import keras
from edge_retina.progress import show_progress
from edge_retina.quantization.qat import make_qat_loop
from edge_retina.training.metrics_log import MetricsLog


def quantize_with_tfmot(
    trained: keras.Model, config: Config, train: Sequence[Example], *, grid: AnchorGrid, steps: int
) -> keras.Model:
    """Train the graph that `quantize_model` makes, with our loss, batches and learning rate.

    Ranges start where tfmot puts them (-6..6) and follow with its decay of .999.
    """
    keras.utils.set_random_seed(config.seed)
    model = tfmot.quantization.keras.quantize_model(build_deploy_graph(trained))
    with show_progress("tfmot", steps) as progress:
        loop = make_qat_loop(
            join_levels(model),
            join_levels(build_deploy_graph(trained)),
            model.trainable_variables,
            config=config,
            grid=grid,
            train=train,
            steps=steps,
            metrics=MetricsLog(None),
            progress=progress,
        )
        loop.run(0, steps)
    return model
