"""The steps of a training between two evaluations."""

from __future__ import annotations

from collections.abc import Iterator

from edge_retina.config import TrainConfig
from edge_retina.model.keras import tf
from edge_retina.progress import ProgressUpdate
from edge_retina.training.loss_window import LossWindow
from edge_retina.training.metrics_log import MetricsLog
from edge_retina.training.schedule import learning_rate_at
from edge_retina.training.train_step import TrainStep

LOG_EVERY_STEPS = 20


class TrainingLoop:
    """Runs compiled steps on batches, sets the learning rate, logs the losses."""

    def __init__(
        self,
        train_step: TrainStep,
        batches: Iterator[tuple[tf.Tensor, ...]],
        *,
        settings: TrainConfig,
        total_steps: int,
        metrics: MetricsLog,
        progress: ProgressUpdate,
    ) -> None:
        self._train_step, self._batches = train_step, batches
        self._settings, self._total = settings, total_steps
        self._metrics, self._progress = metrics, progress
        self._window = LossWindow(
            remedy="lower train.learning_rate, raise train.warmup_steps or lower train.clip_norm"
        )

    def advance(self, first: int, last: int) -> None:
        """Do the steps from `first` up to, not including, `last`.

        Raises:
            TrainingError: a loss that is not finite; the step is named.
        """
        settings = self._settings
        self._window.restart()
        for step in range(first, last):
            rate = learning_rate_at(
                step,
                peak=settings.learning_rate,
                total_steps=self._total,
                warmup_steps=settings.warmup_steps,
                final_fraction=settings.final_learning_rate,
            )
            cls_loss, box_loss = self._train_step(*next(self._batches), tf.constant(rate))
            done = step + 1
            self._window.add(
                done,
                images=settings.batch_size,
                cls_loss=float(cls_loss),
                box_loss=float(box_loss),
            )
            self._progress(done, self._window.note())
            if done % LOG_EVERY_STEPS == 0 or done == last:
                self._metrics.write(done, learning_rate=rate, **self._window.take())
