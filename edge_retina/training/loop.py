"""The loop of every training, float or quantisation-aware.

A step is a batch through `TrainStep`: losses, gradients, optimizer, moving average. Around it the
loop sets the learning rate, stops at what is not finite, logs, and calls the hooks of its owner to
evaluate and to save. Its owners are `training.trainer` (float) and `quantization.qat`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from edge_retina.errors import TrainingError
from edge_retina.model.keras import tf
from edge_retina.progress import ProgressUpdate
from edge_retina.training.loss_window import LossWindow
from edge_retina.training.metrics_log import MetricsLog
from edge_retina.training.save_timer import SaveTimer
from edge_retina.training.schedule import Schedule
from edge_retina.training.step import StepResult, TrainStep

LOG_EVERY_STEPS = 20
Hook = Callable[[int], None]


@dataclass(frozen=True)
class Hooks:
    """What the owner of a loop does between steps; each is called with the number of steps done.

    Attributes:
        before_step: before each step.
        evaluate: after each of `evaluation_steps`.
        evaluation_steps: numbers of steps done.
        save: after each evaluation and, if `save_seconds` is above 0, in between.
        save_seconds: the work that a kill may cost at the most, see `SaveTimer`.
        agree: returns what the chief of a cluster says; asked after every 20th step whether it is
            time to save, because clocks of machines differ.
    """

    before_step: Hook | None = None
    evaluate: Hook | None = None
    evaluation_steps: frozenset[int] = frozenset()
    save: Hook | None = None
    save_seconds: float = 0.0
    agree: Callable[[bool], bool] | None = None


class TrainingLoop:
    """Runs steps on batches."""

    def __init__(
        self,
        step: TrainStep,
        batches: Iterator[tuple[tf.Tensor, ...]],
        *,
        schedule: Schedule,
        batch_size: int,
        metrics: MetricsLog,
        progress: ProgressUpdate,
        remedy: str,
        hooks: Hooks | None = None,
        window: LossWindow | None = None,
    ) -> None:
        """Take the parts of a training.

        Args:
            step: compiled.
            batches: endless; each is the arguments of a step.
            schedule: learning rate by step.
            batch_size: images in a batch.
            metrics: gets the losses of the first step, and the mean losses every 20 steps, at
                evaluations and at the end.
            progress: told after each step.
            remedy: what to change when something is not finite, for the error message.
            hooks: of the owner.
            window: losses that an interrupted training had not logged yet.
        """
        self._step, self._batches = step, batches
        self._schedule, self._batch_size = schedule, batch_size
        self._metrics, self._progress, self._remedy = metrics, progress, remedy
        self._hooks = Hooks() if hooks is None else hooks
        self._window = LossWindow() if window is None else window

    def run(self, first: int, last: int) -> None:
        """Do the steps from `first` up to, not including, `last`.

        Raises:
            TrainingError: a loss or the gradient is not finite; the step is named.
        """
        self._window.restart_clock()
        self._timer = SaveTimer(self._hooks.save_seconds)
        for step in range(first, last):
            if self._hooks.before_step is not None:
                self._hooks.before_step(step)
            rate = self._schedule.rate_at(step)
            result = self._step(*next(self._batches), learning_rate=rate)
            done = step + 1
            self._require_finite(result, done)
            self._window.add(result, images=self._batch_size)
            self._progress(done, self._window.note())
            is_due = self._timer.after_step()
            evaluates = done in self._hooks.evaluation_steps
            # The first step's loss is that of a network that has learnt nothing yet.
            if done == 1 or done % LOG_EVERY_STEPS == 0 or evaluates or done == last:
                self._metrics.write(done, learning_rate=rate, **self._window.take())
            if evaluates and self._hooks.evaluate is not None:
                self._hooks.evaluate(done)
                self._window.restart_clock()
            if evaluates or self._all_agree(is_due, done):
                self._save(done)

    def _require_finite(self, result: StepResult, step: int) -> None:
        values = {**result.losses, "the gradient's norm": result.gradient_norm}
        bad = [f"{name} is {value}" for name, value in values.items() if not math.isfinite(value)]
        if bad:
            raise TrainingError(f"step {step}: {', '.join(bad)}; {self._remedy}")

    def _all_agree(self, is_due: bool, done: int) -> bool:
        if self._hooks.agree is None:
            return is_due
        return done % LOG_EVERY_STEPS == 0 and self._hooks.agree(is_due)

    def _save(self, done: int) -> None:
        began = time.monotonic()
        if self._hooks.save is not None:
            self._hooks.save(done)
        self._timer.after_save(began)
