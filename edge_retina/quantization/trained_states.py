"""The states of a quantised model in training, and which of them is kept."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from edge_retina.quantization.quantized_model import QuantizedModel
from edge_retina.training.metrics_log import MetricsLog
from edge_retina.training.selection import EvaluatedState, StateSelection
from edge_retina.training.validation import Validation

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choice:
    """Which state of QAT was kept, and why.

    Attributes:
        step: whose state it is; 0 for calibration alone.
        mAP: of that state, fake-quantised; None if states were not compared.
        before: likewise, of calibration alone, which is PTQ.
        measured_on: how many images of which split; "" if states were not compared.
        best_trained: step and mAP of the best trained state, where calibration alone was kept.
    """

    step: int
    mAP: float | None = None
    before: float | None = None
    measured_on: str = ""
    best_trained: tuple[int, float] | None = None

    def sentence(self) -> str:
        """Return one line for people."""
        if self.mAP is None or self.before is None:
            return f"kept the last state (step {self.step}), which was not compared with PTQ"
        if self.step:
            return (
                f"kept step {self.step}: mAP {self.mAP:.4f}, PTQ has {self.before:.4f} "
                f"({self.measured_on})"
            )
        best = ""
        if self.best_trained is not None:
            step, mAP = self.best_trained
            best = f", the best trained state, step {step}, has {mAP:.4f}"
        return f"kept PTQ: mAP {self.before:.4f}{best} ({self.measured_on})"


class TrainedStates:
    """Compares the states of a quantised model by what they score as they would be kept."""

    def __init__(
        self,
        quantized: QuantizedModel,
        validation: Validation | None,
        metrics: MetricsLog,
        *,
        measured_on: str = "",
    ) -> None:
        """Measure the calibrated state.

        Args:
            quantized: calibrated.
            validation: None if nothing is to be measured.
            metrics: gets the mAP of every state.
            measured_on: what `validation` measures on, in words.
        """
        self._quantized, self._validation, self._metrics = quantized, validation, metrics
        self._measured_on = measured_on
        self._best_trained: tuple[int, float] | None = None
        self._start = self._measure(0)
        self._selection = StateSelection(start=self._start)

    def offer(self, step: int) -> None:
        """Take the present state into account."""
        state = self._measure(step)
        if state is None:
            return
        if self._best_trained is None or state.mAP > self._best_trained[1]:
            self._best_trained = step, state.mAP
        self._selection.offer(state)

    def keep(self, last: int) -> Choice:
        """Put the kept state back, step `last` if states were not compared; say which it is."""
        kept = self._selection.kept
        if kept is None or self._start is None:
            self._quantized.refresh_weight_ranges()
            return Choice(last)
        weights, ranges = kept.weights
        self._quantized.set_weights(weights)
        self._quantized.set_activation_ranges(ranges)
        return Choice(
            kept.step,
            mAP=kept.mAP,
            before=self._start.mAP,
            measured_on=self._measured_on,
            best_trained=None if kept.step else self._best_trained,
        )

    def _measure(self, step: int) -> EvaluatedState | None:
        """Measure the model as it would be kept, and put it back as it was."""
        if self._validation is None:
            return None
        quantized = self._quantized
        training = quantized.weights()
        quantized.refresh_weight_ranges()
        quantized.round_biases()
        weights = quantized.weights(), quantized.activation_ranges()
        result, state = self._validation.measure(step, weights)
        log.info("qat, step %d: mAP %.4f (fake-quantised, %s)", step, result.mAP, self._measured_on)
        self._metrics.write(step, mAP=result.mAP, mAP50=result.mAP50)
        quantized.set_weights(training)
        return state
