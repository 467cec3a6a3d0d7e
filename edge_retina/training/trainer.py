"""Float training, from a config and a data set to the best weights in a RUN."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.config import Config
from edge_retina.datasets.schema import Example
from edge_retina.evaluation.evaluator import evaluate
from edge_retina.files import atomic_path
from edge_retina.input_pipeline.pipeline import training_batches
from edge_retina.model.backbone import is_backbone_layer, load_pretrained
from edge_retina.model.keras import keras, tf
from edge_retina.model.predictor import KerasPredictor, anchor_grid
from edge_retina.model.retinanet import build_retinanet
from edge_retina.progress import ProgressUpdate, show_progress
from edge_retina.run_directory import RunDirectory
from edge_retina.training.batchnorm import settle_statistics
from edge_retina.training.loop import TrainingLoop
from edge_retina.training.metrics_log import MetricsLog
from edge_retina.training.optimizer import build_optimizer
from edge_retina.training.train_step import make_train_step

log = logging.getLogger(__name__)


def total_steps(config: Config, images: int) -> int:
    """Return the steps of a training on so many images."""
    return config.train.steps or config.train.epochs * steps_per_epoch(config, images)


def steps_per_epoch(config: Config, images: int) -> int:
    """Return the batches that show every image about once."""
    return max(math.ceil(images / config.train.batch_size), 1)


class Trainer:
    """Trains a float model; goes on from its last checkpoint if there is one.

    The weights kept are those of the moving average: the best by validation mAP, or the last when
    there is no validation split.
    """

    def __init__(
        self,
        config: Config,
        *,
        labels: tuple[str, ...],
        train: Sequence[Example],
        val: Sequence[Example],
        run: RunDirectory,
    ) -> None:
        self.config, self.run = config, run
        self._labels, self._train, self._val = labels, train, val
        self._grid: AnchorGrid = anchor_grid(config)
        keras.utils.set_random_seed(config.seed)
        self.model = self._build()
        load_pretrained(
            self.model,
            backbone=config.model.backbone,
            pretrained=config.model.pretrained,
            width=config.model.backbone_width,
        )
        if config.train.freeze_backbone_batchnorm:
            _freeze_backbone_batchnorm(self.model, config.model.backbone)
        self.average = self._build()
        self.average.set_weights(self.model.get_weights())
        self.optimizer = build_optimizer(config.train, self.model)
        self._best = tf.Variable(-1.0, trainable=False)
        self._step = tf.Variable(0, trainable=False, dtype=tf.int64)
        self._seconds = tf.Variable(0.0, trainable=False, dtype=tf.float64)
        checkpoint = tf.train.Checkpoint(
            model=self.model,
            average=self.average,
            optimizer=self.optimizer,
            best=self._best,
            step=self._step,
            seconds=self._seconds,
        )
        self._checkpoints = tf.train.CheckpointManager(
            checkpoint, str(run.checkpoint_dir), max_to_keep=1
        )

    def fit(self) -> dict[str, float]:
        """Train to the end.

        Returns:
            `steps`, `seconds` (of all calls, without what was lost between a checkpoint and an
            interruption), `best_mAP` (-1 without a validation split).

        Raises:
            TrainingError: a loss that is not finite; the step is named.
        """
        restored = self._checkpoints.restore_or_initialize()
        first = int(self._step.numpy())
        if restored:
            log.info("going on from step %d", first)
        else:
            some = self._train[: self.config.train.batch_size]
            settle_statistics(self.model, [example.path for example in some])
            self.average.set_weights(self.model.get_weights())
        total = total_steps(self.config, len(self._train))
        settings = self.config.train
        metrics = MetricsLog(
            self.run.metrics_file,
            tensorboard=self.run.tensorboard_dir if settings.tensorboard else None,
            first_step=first,
        )
        try:
            self._fit_steps(first, total, metrics)
        finally:
            metrics.close()
        return {
            "steps": total,
            "seconds": float(self._seconds.numpy()),
            "best_mAP": float(self._best.numpy()),
        }

    def _fit_steps(self, first: int, total: int, metrics: MetricsLog) -> None:
        epoch_steps = steps_per_epoch(self.config, len(self._train))
        eval_every = self.config.train.eval_every_epochs * epoch_steps
        with show_progress("train", total) as progress:
            loop = self.make_loop(first, total, metrics, progress)
            while first < total:
                started = time.monotonic()
                last = min((first // eval_every + 1) * eval_every, total)
                loop.advance(first, last)
                self._step.assign(last)
                self._evaluate(last, last / epoch_steps, metrics)
                self._seconds.assign_add(time.monotonic() - started)
                self._checkpoints.save()
                first = last

    def make_loop(
        self, first: int, total: int, metrics: MetricsLog, progress: ProgressUpdate
    ) -> TrainingLoop:
        """Return the loop of a training of `total` steps that goes on from step `first`."""
        anchors_px = self._grid.boxes_px()
        train_step = make_train_step(
            self.model,
            self.optimizer,
            anchors_px=anchors_px,
            loss=self.config.loss,
            average=self.average,
            ema_decay=self.config.train.ema_decay,
        )
        batches = training_batches(
            self._train,
            grid=self._grid,
            data=self.config.data,
            augmentation=self.config.augmentation,
            matching=self.config.matching,
            batch_size=self.config.train.batch_size,
            seed=self.config.seed,
            first_step=first,
        )
        return TrainingLoop(
            train_step,
            iter(batches),
            settings=self.config.train,
            total_steps=total,
            metrics=metrics,
            progress=progress,
        )

    def _evaluate(self, step: int, epoch: float, metrics: MetricsLog) -> None:
        if self._val:
            predictor = KerasPredictor(
                self.average, anchors=self._grid, labels=self._labels, export=self.config.export
            )
            result, _ = evaluate(predictor, self._val, labels=self._labels)
            metrics.write(step, epoch=round(epoch, 2), mAP=result.mAP, mAP50=result.mAP50)
            log.info("step %d: validation mAP %.3f, mAP50 %.3f", step, result.mAP, result.mAP50)
            if result.mAP > float(self._best.numpy()):
                self._best.assign(result.mAP)
                self._save_weights()
        else:
            self._save_weights()

    def _save_weights(self) -> None:
        with atomic_path(self.run.float_weights) as temporary:
            self.average.save_weights(str(temporary))

    def _build(self) -> keras.Model:
        return build_retinanet(self.config.model, num_classes=len(self._labels), anchors=self._grid)


def _freeze_backbone_batchnorm(model: keras.Model, backbone: str) -> None:
    for layer in model.layers:
        is_norm = isinstance(layer, keras.layers.BatchNormalization)
        if is_norm and is_backbone_layer(layer.name, backbone):
            layer.trainable = False
