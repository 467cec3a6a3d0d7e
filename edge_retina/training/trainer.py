"""Float training, from a config and a data set to the weights of a RUN."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.config import Config
from edge_retina.datasets.schema import Example
from edge_retina.files import write_json
from edge_retina.input_pipeline.pipeline import BatchPart, training_batches
from edge_retina.model.backbone import backbone_variables, freeze_stages, load_pretrained
from edge_retina.model.distillation import ImitationLoss
from edge_retina.model.keras import computing_in, keras, tf
from edge_retina.model.retinanet import build_retinanet
from edge_retina.model.teacher import load_teacher
from edge_retina.model.weights_file import save_weights
from edge_retina.progress import ProgressUpdate, show_progress
from edge_retina.run_directory import RunDirectory
from edge_retina.training.batchnorm import (
    freeze_batchnorms,
    reestimate_statistics,
    settle_statistics,
)
from edge_retina.training.checkpoints import Checkpoints
from edge_retina.training.distribution import Distribution
from edge_retina.training.evidence import UpdateRatios, network_parts
from edge_retina.training.loop import Hooks, TrainingLoop
from edge_retina.training.metric_sinks import open_sinks
from edge_retina.training.metrics_log import MetricsLog
from edge_retina.training.moving_average import MovingAverage
from edge_retina.training.objective import detection_objective, without_figures
from edge_retina.training.optimizer import build_optimizer
from edge_retina.training.probe import Probe
from edge_retina.training.rate_range import measure_rate_range
from edge_retina.training.schedule import (
    Schedule,
    average_decay,
    plain_from,
    steps_per_epoch,
    total_steps,
    warmup_steps,
)
from edge_retina.training.step import TrainStep
from edge_retina.training.training_state import TrainingState
from edge_retina.training.validation import Validation
from edge_retina.training.warm_start import start_from

log = logging.getLogger(__name__)

_REMEDY = "lower train.learning_rate, raise train.warmup_steps or lower train.clip_norm"


class Trainer:
    """Trains a float model; goes on from its last checkpoint if there is one.

    The weights kept are those of the moving average: the last ones, unless earlier ones were better
    on the validation split beyond noise (`StateSelection`).
    """

    def __init__(
        self,
        config: Config,
        *,
        grid: AnchorGrid,
        labels: tuple[str, ...],
        train: Sequence[Example],
        val: Sequence[Example],
        run: RunDirectory,
        evaluation_steps: Sequence[int] = (),
        on_evaluation: Callable[[int, float], None] | None = None,
        distribution: Distribution | None = None,
    ) -> None:
        """Build the network.

        Args:
            config: of the run.
            grid: the anchors.
            labels: class names by index.
            train: the training split.
            val: the validation split; may be empty.
            run: where the training is logged, checkpointed and saved.
            evaluation_steps: numbers of steps done at which the model is measured, in place of
                those of `train.eval_every_epochs`; the end is always among them.
            on_evaluation: told the steps done and the mAP after each measurement, when everything
                has been saved; what it raises ends the training.
            distribution: the devices to train on; None for one.

        Raises:
            RunError: the weights of the teacher don't fit its network.
        """
        self.config, self.run = config, run
        self._evaluation_steps, self._on_evaluation = evaluation_steps, on_evaluation
        self._labels, self._train = labels, train
        self._distribution = distribution or Distribution()
        self._grid = grid
        self._epoch_steps = steps_per_epoch(len(train), config.train.batch_size)
        self._total_steps = total_steps(
            config.train, images=len(train), batch_size=config.train.batch_size
        )
        if config.train.deterministic:
            tf.config.experimental.enable_op_determinism()  # for the rest of the process
        keras.utils.set_random_seed(config.seed)
        self.average = self._build()
        with computing_in(config.train.precision), self._distribution.scope():
            self.model = self._build()
        if not config.train.init:
            load_pretrained(
                self.average,
                backbone=config.model.backbone,
                pretrained=config.model.pretrained,
                width=config.model.backbone_width,
            )
        for network in (self.model, self.average):
            self._freeze(network)
        self._distribution.synchronise_batchnorms(self.model)
        with self._distribution.scope():
            self.optimizer = build_optimizer(
                config.train,
                self.model.trainable_variables,
                backbone=self._fine_tuned(),
                steps=self._total_steps,
            )
        self._validation = (
            Validation(self.average, val, labels=labels, anchors=self._grid, export=config.export)
            if val
            else None
        )
        self._probe = (
            Probe(self.average, config=config, grid=self._grid, train=train, val=val)
            if config.train.probe_images
            else None
        )
        # Of the processes of a cluster one writes what the training leaves.
        self._is_chief = self._distribution.cluster.is_chief
        # After the network, whose random weights are so the same with and without a teacher.
        teacher = config.train.teacher
        self._teacher = load_teacher(RunDirectory(Path(teacher)), grid=grid) if teacher else None
        self._batches: Iterator[tuple[tf.Tensor, ...]] = iter(())  # those of the last loop
        self._state, self._mark = TrainingState(), time.monotonic()
        self._measured: tuple[int, float] | None = None  # until `on_evaluation` was told
        self._checkpoints = Checkpoints(
            run.checkpoint_dir,
            writes=self._is_chief,
            model=self.model,
            average=self.average,
            optimizer=self.optimizer,
            state=self._state,
        )

    def fit(self) -> dict[str, float]:
        """Train to the end.

        Returns:
            `steps`, `seconds` (of all calls, without what was lost between a checkpoint and an
            interruption), `best_step` whose weights were kept, and its `best_mAP` on the validation
            split (-1 without one).

        Raises:
            TrainingError: a loss or the gradient is not finite; the step is named.
            RunError: there are checkpoints, but none can be read; or the detector of `train.init`
                can't be used.
            ConfigError: a sink of `train.metric_sinks` isn't installed or can't be opened.
        """
        with self._distribution.losing_workers():
            return self._fit()

    def _fit(self) -> dict[str, float]:
        first, total = self._begin(), self._total_steps
        self._mark = time.monotonic()
        if first == 0:
            self._measure_rate_range()
        with closing(self._open_log(first)) as metrics, show_progress("train", total) as progress:
            hooks = self._make_hooks(total, metrics)
            self.make_loop(first, total, metrics, progress, hooks).run(first, total)
        self._save_weights()
        self._distribution.wait()
        kept = self._state.selection.kept
        if kept is not None and kept.step != total:
            log.info("kept the weights of step %d, better than the last beyond noise", kept.step)
        return {
            "steps": total,
            "seconds": self._state.seconds,
            "best_step": kept.step if kept is not None else total,
            "best_mAP": kept.mAP if kept is not None else -1.0,
        }

    def _open_log(self, first: int) -> MetricsLog:
        settings, run = self.config.train, self.run
        if not self._is_chief:
            return MetricsLog(None)
        return MetricsLog(
            run.metrics_file,
            tensorboard=run.tensorboard_dir if settings.tensorboard else None,
            sinks=open_sinks(settings.metric_sinks, run.root, self.config.to_dict()),
            first_step=first,
        )

    def make_loop(
        self,
        first: int,
        total: int,
        metrics: MetricsLog,
        progress: ProgressUpdate,
        hooks: Hooks | None = None,
    ) -> TrainingLoop:
        """Return the loop of a training of `total` steps that goes on from step `first`."""
        settings = self.config.train
        self._batches = self._make_batches(first, total)
        return TrainingLoop(
            self.make_step(),
            self._batches,
            schedule=Schedule(
                peak=settings.learning_rate,
                total_steps=total,
                warmup_steps=warmup_steps(settings, total),
                final_fraction=settings.final_learning_rate,
            ),
            batch_size=settings.batch_size,
            metrics=metrics,
            progress=progress,
            remedy=_REMEDY,
            window=self._state.window,
            hooks=hooks,
        )

    def _make_batches(self, first: int, total: int) -> Iterator[tuple[tf.Tensor, ...]]:
        """Return the batches of a training of `total` steps, from step `first` on."""
        settings = self.config.train
        part = self._distribution.part_of(settings.batch_size)
        return self._distribution.distribute(self._dataset(first, total, part))

    def _dataset(self, first: int, total: int, part: BatchPart | None = None) -> tf.data.Dataset:
        settings = self.config.train
        teacher_hw = self._teacher.input_hw if self._teacher is not None else None
        return training_batches(
            self._train,
            grid=self._grid,
            data=self.config.data,
            augmentation=self.config.augmentation,
            matching=self.config.matching,
            batch_size=settings.batch_size,
            seed=self.config.seed,
            first_step=first,
            plain_from=plain_from(settings, total),
            teacher_hw=teacher_hw if teacher_hw != self._grid.image_hw else None,
            part=part,
        )

    def make_step(self, *, evidence: bool = True) -> TrainStep:
        """Return the compiled step; without `evidence` it computes nothing that is only logged."""
        anchors_px, teacher = self._grid.boxes_px(), self._teacher
        if teacher is None:
            objective = detection_objective(
                self.model,
                anchors_px=anchors_px,
                loss=self.config.loss,
                level_anchors=self._grid.level_counts(),
            )
        else:
            objective = detection_objective(
                self.model,
                anchors_px=anchors_px,
                loss=self.config.loss,
                teacher=teacher,
                distillation=self.config.train.teacher_weight,
                distance=ImitationLoss(
                    self.config.loss, anchors_px=anchors_px, counted=teacher.knows
                ),
                level_anchors=self._grid.level_counts(),
            )
        return TrainStep(
            objective if evidence else without_figures(objective),
            self.model.trainable_variables,
            self.optimizer,
            average=MovingAverage(
                self.average,
                self.model,
                decay=average_decay(self.config.train, self._total_steps),
                distribution=self._distribution,
            ),
            ratios=self._update_ratios() if evidence else None,
            distribution=self._distribution,
        )

    def _update_ratios(self) -> UpdateRatios:
        return UpdateRatios(network_parts(self.model, self.config.model.backbone))

    def _make_hooks(self, total: int, metrics: MetricsLog) -> Hooks:
        settings = self.config.train
        every = settings.eval_every_epochs * self._epoch_steps
        usual = range(every, total, every)
        return Hooks(
            evaluate=lambda step: self._evaluate(step, metrics),
            evaluation_steps=frozenset((*(self._evaluation_steps or usual), total)),
            save=self._save,
            save_seconds=60 * settings.checkpoint_minutes,
            agree=self._distribution.agree if self._distribution.cluster.workers > 1 else None,
        )

    def _begin(self) -> int:
        """Restore the last checkpoint, or begin; return the number of steps done."""
        if self._checkpoints.restore():
            log.info("going on from step %d", self._state.step)
        else:
            self._warm_start()
            some = self._train[: self.config.train.batch_size]
            settle_statistics(self.average, [example.path for example in some])
            self.model.set_weights(self.average.get_weights())
        if self._distribution.cluster.workers > 1:
            begun = hashlib.sha256(str(self._state.step).encode())
            for weights in self.average.get_weights():
                begun.update(weights.tobytes())
            self._distribution.require_same(begun.hexdigest(), what="starting weights")
        return self._state.step

    def _warm_start(self) -> None:
        """Start from the detector of `train.init`, if there is one, and record what it gave."""
        record = self.run.results_file("init")
        if self._is_chief:
            record.unlink(missing_ok=True)  # of a training that ended before its first checkpoint
        if self.config.train.init:
            found = start_from(
                Path(self.config.train.init),
                self.average,
                labels=self._labels,
                settings=self.config.model,
            )
            if self._is_chief:
                write_json(record, found.to_dict())

    def _measure_rate_range(self) -> None:
        """Record the loss by learning rate, and put everything back."""
        settings, record = self.config.train, self.run.rate_range_file
        if self._is_chief:
            record.unlink(missing_ok=True)
        if not settings.rate_range_steps:
            return
        log.info("measuring the loss by learning rate in %d steps", settings.rate_range_steps)
        variables = [*self.model.variables, *self.average.variables, *self.optimizer.variables]
        values = [variable.numpy() for variable in variables]
        found = measure_rate_range(
            self.make_step(evidence=False),
            self._make_batches(0, self._total_steps),
            peak=settings.learning_rate,
            count=settings.rate_range_steps,
        )
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        if self._is_chief:
            write_json(record, found)

    def _evaluate(self, step: int, metrics: MetricsLog) -> None:
        if step == self._total_steps and self.config.train.reestimate_batchnorm:
            self._reestimate()
        logged: dict[str, Any] = {}
        if self._validation is not None:
            result, state = self._validation.measure(step, self.average.get_weights())
            log.info("step %d: validation mAP %.3f, mAP50 %.3f", step, result.mAP, result.mAP50)
            self._state.selection.offer(state)
            self._measured = (step, result.mAP)
            logged |= {
                "mAP": result.mAP,
                "mAP50": result.mAP50,
                "per_class": result.per_class,
                "detections": result.detections,
                "errors": self._validation.errors,
            }
        if self._probe is not None:
            logged["probe"] = self._probe.measure()
        if logged:
            metrics.write(step, epoch=round(step / self._epoch_steps, 2), **logged)
        self._save_weights()

    def _reestimate(self) -> None:
        """Measure the statistics of the average on the batches that come after the last step's.

        They are augmented as those of the last steps were, for their activations are what the
        weights were fitted to; so they are plain if the training ended with plain pictures.
        """
        count = self.config.train.reestimate_batchnorm
        log.info("measuring the BatchNorm statistics of the averaged weights on %d batches", count)
        following = self._batches
        if self._distribution.replicas > 1:  # whose own are in pieces
            following = iter(self._dataset(self._total_steps, self._total_steps))
        batches = (images.numpy() for images, *_ in islice(following, count))
        reestimate_statistics(self.average, batches)

    def _save(self, step: int) -> None:
        self._save_checkpoint(step)
        if self._on_evaluation is not None and self._measured is not None:
            measured, self._measured = self._measured, None
            self._on_evaluation(*measured)

    def _save_checkpoint(self, step: int) -> None:
        now = time.monotonic()
        self._state.step = step
        self._state.seconds += now - self._mark
        self._mark = now
        self._checkpoints.save(step)

    def _save_weights(self) -> None:
        """Write the weights that are kept as of now; those of the average if none were compared."""
        if not self._is_chief:
            return
        kept, last = self._state.selection.kept, self.average.get_weights()
        if kept is not None:
            self.average.set_weights(kept.weights)
        save_weights(self.average, self.run.float_weights)
        self.average.set_weights(last)

    def _freeze(self, network: keras.Model) -> None:
        """Freeze what the config says."""
        settings, backbone = self.config.train, self.config.model.backbone
        if settings.freeze_backbone_batchnorm:
            freeze_batchnorms(network, backbone)
        if self._is_pretrained:
            freeze_stages(network, backbone=backbone, stages=settings.frozen_stages)

    def _fine_tuned(self) -> list[tf.Variable]:
        """Return the variables that have a learning rate of their own."""
        if not self._is_pretrained:
            return []
        return backbone_variables(self.model, self.config.model.backbone)

    @property
    def _is_pretrained(self) -> bool:
        """Whether the backbone knows anything that is worth keeping."""
        return bool(self.config.train.init) or self.config.model.pretrained != "none"

    def _build(self) -> keras.Model:
        return build_retinanet(self.config.model, num_classes=len(self._labels), anchors=self._grid)
