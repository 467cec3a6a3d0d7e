"""Quantisation-aware training of a calibrated model."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path

import numpy as np

from edge_retina.config import Config
from edge_retina.datasets.schema import Example
from edge_retina.evaluation.evaluator import evaluate
from edge_retina.input_pipeline.pipeline import training_batches
from edge_retina.int8.activation_ranges import Range
from edge_retina.model.deploy import join_levels
from edge_retina.model.keras import keras, tf
from edge_retina.model.predictor import KerasPredictor, anchor_grid
from edge_retina.progress import show_progress
from edge_retina.quantization.qat_step import make_qat_step
from edge_retina.quantization.quantized_model import QuantizedModel
from edge_retina.training.loop import LOG_EVERY_STEPS
from edge_retina.training.loss_window import LossWindow
from edge_retina.training.metrics_log import MetricsLog
from edge_retina.training.schedule import learning_rate_at

log = logging.getLogger(__name__)

# How fast ranges follow the batches while they may: a memory of about a hundred steps.
_RANGE_RATE = 0.01
# mAP of one and the same model moves by so much when roundings turn near-equal boxes around:
# rounding the biases to their grid moved it by .002 on chess (58 pictures) and .004 on vehicles5.
_NOISE = 0.004


def train_quantized(
    quantized: QuantizedModel,
    teacher: keras.Model,
    *,
    config: Config,
    train: Sequence[Example],
    val: Sequence[Example],
    labels: tuple[str, ...],
    steps: int,
    metrics_file: Path | None,
) -> int:
    """Train a calibrated model in place and return the step whose weights were kept.

    Activation ranges follow the batches until `quantize.freeze_ranges_at`, then stand still.
    States are compared by the mAP of the fake-quantised model on `val`, from the calibrated one
    (step 0) on, so that training can't spoil the model; of those that are equal but for noise the
    latest is kept, without `val` the last.

    Args:
        quantized: calibrated.
        teacher: the float model, joined; for distillation.
        config: resolved.
        train: gives the batches.
        val: may be empty.
        labels: class names by index.
        steps: of training.
        metrics_file: JSON lines of losses; None for nowhere.
    """
    keras.utils.set_random_seed(config.seed)
    student = join_levels(quantized.model)
    step_function = _compile_step(student, teacher, quantized, config)
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
    best = _Best(quantized, student, config=config, val=val, labels=labels)
    best.offer(0)
    window = LossWindow(remedy="lower quantize.learning_rate")
    evaluated = _evaluation_steps(steps, config.quantize.evaluations)
    with _open_log(metrics_file) as metrics, show_progress("qat", steps) as progress:
        for done in range(1, steps + 1):
            quantized.range_rate.assign(_range_rate(done, steps, quantized, config))
            rate = _learning_rate(done, steps, config)
            cls_loss, box_loss, distance = step_function(*next(batches), tf.constant(rate))
            window.add(
                done,
                images=config.train.batch_size,
                cls_loss=float(cls_loss),
                box_loss=float(box_loss),
                distance=float(distance),
            )
            progress(done, window.note())
            if done % LOG_EVERY_STEPS == 0 or done == steps:
                losses = window.take()
                if metrics is not None:
                    metrics.write(done, learning_rate=rate, **losses)
            if done in evaluated:
                best.offer(done)
                window.restart()
    return best.restore(steps)


def _open_log(path: Path | None) -> AbstractContextManager[MetricsLog | None]:
    return closing(MetricsLog(path, tensorboard=None)) if path is not None else nullcontext()


def _range_rate(done: int, steps: int, quantized: QuantizedModel, config: Config) -> float:
    """Return how fast ranges follow in a step; shared ones never do, each would go its own way."""
    moving = done <= config.quantize.freeze_ranges_at * steps
    return _RANGE_RATE if moving and not quantized.recipe.share_levels else 0.0


def _learning_rate(done: int, steps: int, config: Config) -> float:
    return learning_rate_at(
        done - 1,
        peak=config.quantize.learning_rate,
        total_steps=steps,
        warmup_steps=config.quantize.warmup_steps,
        final_fraction=config.train.final_learning_rate,
    )


def _compile_step(
    student: keras.Model, teacher: keras.Model, quantized: QuantizedModel, config: Config
) -> Callable[..., tuple[tf.Tensor, tf.Tensor, tf.Tensor]]:
    settings = config.quantize
    variables = list(quantized.variables().values())
    optimizer = keras.optimizers.AdamW(
        settings.learning_rate, weight_decay=0.0, global_clipnorm=config.train.clip_norm or None
    )
    optimizer.build(variables)
    return make_qat_step(
        student,
        teacher if settings.distillation else None,
        optimizer,
        variables=variables,
        anchors_px=anchor_grid(config).boxes_px(),
        loss=config.loss,
        distillation=settings.distillation,
    )


def _evaluation_steps(steps: int, evaluations: int) -> set[int]:
    """Return the steps after which to evaluate: evenly over the second half, the last among them.

    Ranges still move in the first half.
    """
    if not evaluations:
        return set()
    places = np.linspace(steps / 2, steps, evaluations + 1)[1:]
    return {round(place) for place in places}


class _Best:
    """The best state so far of a model in training."""

    def __init__(
        self,
        quantized: QuantizedModel,
        student: keras.Model,
        *,
        config: Config,
        val: Sequence[Example],
        labels: tuple[str, ...],
    ) -> None:
        self._quantized, self._val, self._labels = quantized, val, labels
        self._compare = bool(val) and config.quantize.evaluations > 0
        self._predictor = KerasPredictor(
            student, anchors=anchor_grid(config), labels=labels, export=config.export
        )
        self._mAP = -1.0
        self._step = 0
        self._state: tuple[dict[str, np.ndarray], dict[str, Range]] | None = None

    def offer(self, step: int) -> None:
        """Measure the model as it would be kept, and remember it if it is as good as the best.

        Later states win over earlier ones that are better by no more than the noise.
        """
        if not self._compare:
            return
        training = self._quantized.weights()
        self._quantized.refresh_weight_ranges()
        self._quantized.round_biases()
        result, _ = evaluate(self._predictor, self._val, labels=self._labels)
        reached = result.mAP or 0.0
        log.info("qat, step %d: validation mAP %.4f (fake-quantised)", step, reached)
        if reached >= self._mAP - _NOISE:
            self._step = step
            self._state = (self._quantized.weights(), self._quantized.activation_ranges())
        self._mAP = max(self._mAP, reached)
        self._quantized.set_weights(training)

    def restore(self, last: int) -> int:
        """Put the best state back and return its step; `last` if states were not compared."""
        if self._state is None:
            self._quantized.refresh_weight_ranges()
            return last
        weights, ranges = self._state
        self._quantized.set_weights(weights)
        self._quantized.set_activation_ranges(ranges)
        return self._step
