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

_Scheme = tfmot.quantization.keras.default_8bit.Default8BitQuantizeScheme


def quantize_with_tfmot(
    trained: keras.Model,
    config: Config,
    train: Sequence[Example],
    *,
    grid: AnchorGrid,
    steps: int,
    per_tensor: bool = False,
) -> keras.Model:
    """Train the graph that `quantize_model` makes, with our loss, batches and learning rate.

    Ranges start where tfmot puts them (-6..6) and follow with its decay of .999.

    Args:
        trained: the float model.
        config: of the run; with `quantize.relu = "relu"` the graph has ReLU, as ours would.
        train: gives the batches.
        grid: the anchors.
        steps: of training.
        per_tensor: one scale for each kernel, by the switch that tfmot's own scheme has for it.
    """
    keras.utils.set_random_seed(config.seed)
    deploy = build_deploy_graph(trained, relu6=config.quantize.relu == "relu6")
    model = _quantized(deploy, per_tensor=per_tensor)
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


def _quantized(deploy: keras.Model, *, per_tensor: bool) -> keras.Model:
    if not per_tensor:
        return tfmot.quantization.keras.quantize_model(deploy)
    annotated = tfmot.quantization.keras.quantize_annotate_model(deploy)
    return tfmot.quantization.keras.quantize_apply(annotated, _Scheme(disable_per_axis=True))
