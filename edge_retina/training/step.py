"""One step of any training, compiled: losses, gradients, optimizer, moving average."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge_retina.model.keras import keras, tf
from edge_retina.training.moving_average import MovingAverage
from edge_retina.training.objective import Objective


@dataclass(frozen=True)
class StepResult:
    """What a step computed.

    Attributes:
        losses: by name; their sum is minimised.
        gradient_norm: global norm of the gradients, before clipping.
    """

    losses: dict[str, float]
    gradient_norm: float


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
    ) -> None:
        """Take what to minimise, by which variables and how.

        Args:
            objective: called once, to be compiled.
            variables: changed in place.
            optimizer: built for them.
            average: updated after each step.
        """
        self._objective, self._variables = objective, list(variables)
        self._optimizer, self._average = optimizer, average
        self._names: tuple[str, ...] = ()
        self._compiled = tf.function(self._run)

    def __call__(self, *batch: tf.Tensor, learning_rate: float) -> StepResult:
        """Do a step on a batch, the arguments of the objective."""
        values = self._compiled(batch, tf.constant(learning_rate)).numpy().tolist()
        *losses, gradient_norm = values
        return StepResult(dict(zip(self._names, losses, strict=True)), gradient_norm)

    def _run(self, batch: tuple[tf.Tensor, ...], learning_rate: tf.Tensor) -> tf.Tensor:
        """Return the losses and the gradients' norm as one tensor: one copy to the host a step."""
        self._optimizer.learning_rate.assign(learning_rate)
        # Only these variables are watched, so that no gradients are computed in frozen layers.
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self._variables)
            losses = self._objective(*batch)
            total = tf.add_n(list(losses.values()))
        self._names = tuple(losses)  # known when the step is traced
        gradients = tape.gradient(total, self._variables)
        norm = tf.linalg.global_norm(gradients)
        if tf.math.is_finite(total) & tf.math.is_finite(norm):
            self._optimizer.apply_gradients(zip(gradients, self._variables, strict=True))
            if self._average is not None:
                self._average.update(self._optimizer.iterations)
        return tf.stack([*losses.values(), norm])
