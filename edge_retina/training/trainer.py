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
from edge_retina.model.backbone import load_pretrained
from edge_retina.model.keras import keras, tf
from edge_retina.model.predictor import KerasPredictor, anchor_grid
from edge_retina.model.retinanet import build_retinanet
from edge_retina.progress import show_progress
from edge_retina.run_directory import RunDirectory
from edge_retina.training.loss_window import LossWindow
from edge_retina.training.metrics_log import MetricsLog
from edge_retina.training.optimizer import build_optimizer
from edge_retina.training.schedule import learning_rate_at
from edge_retina.training.train_step import make_train_step

log = logging.getLogger(__name__)

LOG_EVERY_STEPS = 20


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
            self.model, pretrained=config.model.pretrained, width=config.model.backbone_width
        )
        if config.train.freeze_backbone_batchnorm:
            _freeze_backbone_batchnorm(self.model)
        self.average = self._build()
        self.average.set_weights(self.model.get_weights())
        self.optimizer = build_optimizer(config.train, self.model)
        self._best = tf.Variable(-1.0, trainable=False)
        self._step = tf.Variable(0, trainable=False, dtype=tf.int64)
        checkpoint = tf.train.Checkpoint(
            model=self.model,
            average=self.average,
            optimizer=self.optimizer,
            best=self._best,
            step=self._step,
        )
        self._checkpoints = tf.train.CheckpointManager(
            checkpoint, str(run.checkpoint_dir), max_to_keep=1
        )

    def fit(self) -> dict[str, float]:
        """Train to the end.

        Returns:
            `steps`, `seconds` (of this call), `best_mAP` (-1 without a validation split).

        Raises:
            TrainingError: a loss that is not finite; the step is named.
        """
        restored = self._checkpoints.restore_or_initialize()
        first = int(self._step.numpy())
        if restored:
            log.info("going on from step %d", first)
        total = total_steps(self.config, len(self._train))
        settings = self.config.train
        metrics = MetricsLog(
            self.run.metrics_file,
            tensorboard=self.run.tensorboard_dir if settings.tensorboard else None,
            first_step=first,
        )
        started = time.monotonic()
        try:
            self._fit_steps(first, total, metrics)
        finally:
            metrics.close()
        return {
            "steps": total,
            "seconds": time.monotonic() - started,
            "best_mAP": float(self._best.numpy()),
        }

    def _fit_steps(self, first: int, total: int, metrics: MetricsLog) -> None:
        settings = self.config.train
        epoch_steps = steps_per_epoch(self.config, len(self._train))
        eval_every = settings.eval_every_epochs * epoch_steps
        anchors_px = self._grid.boxes_px()
        train_step = make_train_step(
            self.model,
            self.optimizer,
            anchors_px=anchors_px,
            loss=self.config.loss,
            average=self.average,
            ema_decay=settings.ema_decay,
        )
        batches = iter(training_batches(self._train, self.config, anchors_px, first_step=first))
        window = LossWindow(
            remedy="lower train.learning_rate, raise train.warmup_steps or lower train.clip_norm"
        )
        with show_progress("train", total) as progress:
            for step in range(first, total):
                rate = learning_rate_at(
                    step,
                    peak=settings.learning_rate,
                    total_steps=total,
                    warmup_steps=settings.warmup_steps,
                    final_fraction=settings.final_learning_rate,
                )
                cls_loss, box_loss = train_step(*next(batches), tf.constant(rate))
                window.add(
                    step + 1,
                    images=settings.batch_size,
                    cls_loss=float(cls_loss),
                    box_loss=float(box_loss),
                )
                progress(step + 1, window.note())
                if (step + 1) % LOG_EVERY_STEPS == 0 or step + 1 == total:
                    metrics.write(step + 1, learning_rate=rate, **window.take())
                if (step + 1) % eval_every == 0 or step + 1 == total:
                    self._step.assign(step + 1)
                    self._evaluate(step + 1, (step + 1) / epoch_steps, metrics)
                    window.restart()

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
        self._checkpoints.save()

    def _save_weights(self) -> None:
        with atomic_path(self.run.float_weights) as temporary:
            self.average.save_weights(str(temporary))

    def _build(self) -> keras.Model:
        return build_retinanet(self.config.model, num_classes=len(self._labels), anchors=self._grid)


def _freeze_backbone_batchnorm(model: keras.Model) -> None:
    for layer in model.layers:
        in_backbone = layer.name.startswith(("bn_Conv1", "Conv_1_bn", "expanded_conv", "block_"))
        if in_backbone and isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
