"""One step of any training, compiled: losses, gradients, optimizer, moving average."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from edge_retina.model.keras import keras, tf
from edge_retina.model.replicas import sum_over_replicas
from edge_retina.training.distribution import Distribution
from edge_retina.training.evidence import UpdateRatios
from edge_retina.training.moving_average import MovingAverage
from edge_retina.training.objective import Objective


@dataclass(frozen=True)
class StepResult:
    """What a step computed.

    Attributes:
        losses: by name; their sum is minimised.
        gradient_norm: global norm of the gradients, before clipping.
        figures: numbers and lists by name, to be logged.
    """

    losses: dict[str, float]
    gradient_norm: float
    figures: dict[str, float | list[float]] = field(default_factory=dict)


class TrainStep:
    """Minimises an objective by one step on a batch.

    When a loss or the norm of the gradients is not finite, variables, optimizer and average stay
    as they were; BatchNorm statistics have moved. The norm decides for the gradients, because
    clipping divides all of them by it: one infinite gradient would make every variable NaN.
    """

    def __init__(
        self,
        objective: Objective,
        variables: Sequence[tf.Variable],
        optimizer: keras.optimizers.Optimizer,
        *,
        average: MovingAverage | None = None,
        ratios: UpdateRatios | None = None,
        distribution: Distribution | None = None,
    ) -> None:
        """Take what to minimise, by which variables and how.

        Args:
            objective: called once, to be compiled.
            variables: changed in place.
            optimizer: built for them.
            average: updated after each step.
            ratios: measured in each step.
            distribution: the devices; a batch has a piece for each. None for one device.
        """
        self._objective, self._variables = objective, list(variables)
        self._optimizer, self._average, self._ratios = optimizer, average, ratios
        self._losses: tuple[str, ...] = ()
        self._figures: dict[str, tuple[int, ...]] = {}
        self._distribution = distribution or Distribution()
        is_one = self._distribution.replicas == 1
        self._compiled = tf.function(self._run if is_one else self._run_on_replicas)
        self._concrete: dict[tuple[tf.TensorShape, ...], Callable[..., tf.Tensor]] = {}

    def __call__(self, *batch: tf.Tensor, learning_rate: float) -> StepResult:
        """Do a step on a batch, the arguments of the objective."""
        values = self._run_compiled(batch, tf.constant(learning_rate)).numpy()
        count = len(self._losses)
        losses, rest = values[:count].tolist(), values[count + 1 :]
        return StepResult(
            dict(zip(self._losses, losses, strict=True)), float(values[count]), self._named(rest)
        )

    def _run_compiled(self, batch: tuple[tf.Tensor, ...], learning_rate: tf.Tensor) -> tf.Tensor:
        """Call the compiled step.

        On one device by its concrete function: to find that, a `tf.function` hashes every variable
        that it captures, several times in each call: 1 to 2 ms for 200 variables.
        """
        if self._distribution.replicas > 1:
            return self._compiled(batch, learning_rate)
        shapes = tuple(part.shape for part in batch)
        if shapes not in self._concrete:
            self._concrete[shapes] = self._compiled.get_concrete_function(batch, learning_rate)
        return self._concrete[shapes](batch, learning_rate)

    def _run(self, batch: tuple[tf.Tensor, ...], learning_rate: tf.Tensor) -> tf.Tensor:
        """Return losses, gradients' norm and figures in one tensor: one copy to the host a step."""
        self._optimizer.learning_rate.assign(learning_rate)
        # Only these variables are watched, so that no gradients are computed in frozen layers.
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self._variables)
            losses, figures = self._objective(*batch)
            total = tf.add_n(list(losses.values()))
        before = self._ratios.before(self._optimizer.iterations) if self._ratios else []
        gradients = tape.gradient(total, self._variables)
        norm = tf.linalg.global_norm(gradients)
        if tf.math.is_finite(total) & tf.math.is_finite(norm):
            self._optimizer.apply_gradients(zip(gradients, self._variables, strict=True))
            if self._average is not None:
                self._average.update(self._optimizer.iterations)
        if self._ratios:
            figures = figures | self._ratios.after(before)
        return self._flat(losses, norm, figures)

    def _run_on_replicas(self, batch: tuple[tf.Tensor, ...], learning_rate: tf.Tensor) -> tf.Tensor:
        """Do what `_run` does, on a batch in pieces.

        Within a replica nothing can depend on a condition that updates variables. So gradients that
        are not finite count as zeros, which leaves the weights finite; the loop ends the training.
        """
        self._optimizer.learning_rate.assign(learning_rate)
        before = self._ratios.before(self._optimizer.iterations) if self._ratios else []
        values = self._distribution.sum_of(self._run_on_replica, batch)
        if self._average is not None:
            self._average.update(self._optimizer.iterations)
        if not self._ratios:
            return values
        ratios = self._ratios.after(before)
        self._figures |= {name: tuple(value.shape) for name, value in ratios.items()}
        return tf.concat([values, *(tf.reshape(value, [-1]) for value in ratios.values())], axis=0)

    def _run_on_replica(self, batch: tuple[tf.Tensor, ...]) -> tf.Tensor:
        """Return what is to be added up over the replicas: sums of losses, means of the rest."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self._variables)
            losses, figures = self._objective(*batch)
            total = tf.add_n(list(losses.values()))
        gradients = sum_over_replicas(tape.gradient(total, self._variables))
        norm = tf.linalg.global_norm(gradients)
        is_finite = tf.math.is_finite(norm)
        safe = [tf.where(is_finite, value, tf.zeros_like(value)) for value in gradients]
        self._optimizer.apply_gradients(
            zip(safe, self._variables, strict=True), skip_gradients_aggregation=True
        )
        count = self._distribution.replicas
        parts = {name: value / count for name, value in figures.items()}
        return self._flat(losses, norm / count, parts)

    def _flat(
        self, losses: dict[str, tf.Tensor], norm: tf.Tensor, figures: dict[str, tf.Tensor]
    ) -> tf.Tensor:
        """Return everything in one vector; names and shapes are kept when the step is traced."""
        self._losses = tuple(losses)
        self._figures = {name: tuple(value.shape) for name, value in figures.items()}
        flat = [tf.reshape(value, [-1]) for value in (*losses.values(), norm, *figures.values())]
        return tf.concat(flat, axis=0)

    def _named(self, values: np.ndarray) -> dict[str, float | list[float]]:
        """Return the figures of a step, in the shapes that they had."""
        ends = np.cumsum([int(np.prod(shape)) for shape in self._figures.values()], dtype=int)
        parts = np.split(values, ends)[:-1]  # nothing comes after the last end
        named = zip(self._figures.items(), parts, strict=True)
        return {name: part.reshape(shape).tolist() for (name, shape), part in named}
