"""Quantisation-aware training of a calibrated model."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.config import Config
from edge_retina.datasets.schema import Example
from edge_retina.input_pipeline.pipeline import training_batches
from edge_retina.model.deploy import join_levels
from edge_retina.model.keras import keras, tf
from edge_retina.progress import ProgressUpdate, show_progress
from edge_retina.quantization.quantized_model import QuantizedModel
from edge_retina.quantization.trained_states import Choice, TrainedStates
from edge_retina.training.loop import Hook, Hooks, TrainingLoop
from edge_retina.training.metrics_log import MetricsLog
from edge_retina.training.objective import detection_objective
from edge_retina.training.optimizer import build_optimizer
from edge_retina.training.schedule import Schedule
from edge_retina.training.step import TrainStep
from edge_retina.training.validation import Validation

log = logging.getLogger(__name__)

# How fast ranges follow the batches while they may: a memory of about a hundred steps.
_RANGE_RATE = 0.01
_FEW = 64  # training images that stand in for a validation split
_REMEDY = "lower quantize.learning_rate"


def train_quantized(
    quantized: QuantizedModel,
    teacher: keras.Model,
    *,
    config: Config,
    grid: AnchorGrid,
    train: Sequence[Example],
    val: Sequence[Example],
    labels: tuple[str, ...],
    steps: int,
    metrics_file: Path | None,
) -> Choice:
    """Train a calibrated model in place and return which state was kept, which is logged too.

    States are compared by the mAP of the fake-quantised model on `val`. The calibrated one (step 0)
    is kept unless a trained one does at least as well there, so that QAT never ships a model that
    validates worse than PTQ; see `StateSelection`. Without `val` some images of `train` take its
    place: they flatter what was trained on them, but a training that went wrong shows. With
    `evaluations = 0` nothing is compared and the last state is kept.

    Args:
        quantized: calibrated.
        teacher: the float model, joined; for distillation.
        config: of the run.
        grid: the anchors.
        train: gives the batches.
        val: may be empty.
        labels: class names by index.
        steps: of training.
        metrics_file: JSON lines of losses; None for nowhere.

    Raises:
        TrainingError: a loss or the gradient is not finite; the step is named.
    """
    keras.utils.set_random_seed(config.seed)
    settings = config.quantize
    student = join_levels(quantized.model)
    measured = val or with_objects(train, _FEW)
    validation = (
        Validation(student, measured, labels=labels, anchors=grid, export=config.export)
        if settings.evaluations and measured
        else None
    )
    images = f"{len(measured)} {'validation' if val else 'training'} images"
    with closing(MetricsLog(metrics_file)) as metrics, show_progress("qat", steps) as progress:
        states = TrainedStates(quantized, validation, metrics, measured_on=images)
        loop = make_qat_loop(
            student,
            teacher,
            list(quantized.variables().values()),
            config=config,
            grid=grid,
            train=train,
            steps=steps,
            metrics=metrics,
            progress=progress,
            hooks=Hooks(
                before_step=_range_hook(quantized, steps, until=settings.freeze_ranges_at),
                evaluate=states.offer,
                evaluation_steps=_evaluation_steps(steps, settings.evaluations),
            ),
        )
        loop.run(0, steps)
    choice = states.keep(steps)
    log.info("qat: %s", choice.sentence())
    return choice


def with_objects(examples: Sequence[Example], count: int) -> list[Example]:
    """Return up to `count` examples, at even distances, that have an object to be found."""
    found = [example for example in examples if not example.ignored.all()]
    count = min(count, len(found))
    return [found[number * len(found) // count] for number in range(count)]


def make_qat_loop(
    student: keras.Model,
    teacher: keras.Model,
    variables: Sequence[tf.Variable],
    *,
    config: Config,
    grid: AnchorGrid,
    train: Sequence[Example],
    steps: int,
    metrics: MetricsLog,
    progress: ProgressUpdate,
    hooks: Hooks | None = None,
) -> TrainingLoop:
    """Return the loop that trains any fake-quantised model.

    Args:
        student: outputs cls_logits (B, A, K) and box_deltas (B, A, 4).
        teacher: the float model with the same outputs, for distillation.
        variables: kernels and biases of the student.
        config: of the run; `quantize` has the learning rate and the weight of the distillation.
        grid: the anchors.
        train: gives the batches.
        steps: of training.
        metrics: gets the losses.
        progress: told after each step.
        hooks: see `TrainingLoop`.
    """
    settings = config.quantize
    objective = detection_objective(
        student,
        anchors_px=grid.boxes_px(),
        loss=config.loss,
        teacher=teacher if settings.distillation else None,
        distillation=settings.distillation,
    )
    # Without weight decay: weights are to stay near those of the float model.
    optimizing = dataclasses.replace(
        config.train,
        optimizer="adamw",
        learning_rate=settings.learning_rate,
        weight_decay=0.0,
    )
    return TrainingLoop(
        TrainStep(objective, variables, build_optimizer(optimizing, variables)),
        iter(
            training_batches(
                train,
                grid=grid,
                data=config.data,
                augmentation=config.augmentation,
                matching=config.matching,
                batch_size=config.train.batch_size,
                seed=config.seed,
                # The float training that ended with plain pictures goes on.
                plain_from=0 if config.train.plain_steps else None,
            )
        ),
        schedule=Schedule(
            peak=settings.learning_rate,
            total_steps=steps,
            warmup_steps=settings.warmup_steps,
            final_fraction=config.train.final_learning_rate,
        ),
        batch_size=config.train.batch_size,
        metrics=metrics,
        progress=progress,
        remedy=_REMEDY,
        hooks=hooks,
    )


def _range_hook(quantized: QuantizedModel, steps: int, *, until: float) -> Hook:
    """Return the hook that lets activation ranges follow the batches for a part of the steps.

    Shared ranges never do, each copy would go its own way.
    """
    moving_steps = 0 if quantized.recipe.share_levels else until * steps

    def before_step(step: int) -> None:
        quantized.range_rate.assign(_RANGE_RATE if step < moving_steps else 0.0)

    return before_step


def _evaluation_steps(steps: int, evaluations: int) -> frozenset[int]:
    """Return the steps after which to evaluate: evenly over the second half, the last among them.

    In the first half the learning rate is still high, and ranges may move.
    """
    if not evaluations:
        return frozenset()
    places = np.linspace(steps / 2, steps, evaluations + 1)[1:]
    return frozenset(round(place) for place in places)
