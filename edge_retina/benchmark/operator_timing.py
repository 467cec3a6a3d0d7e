"""Times of single operators on a device, through the same workers that time whole networks."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edge_retina.benchmark.backends import ALL_BACKENDS
from edge_retina.benchmark.candidate import Candidate
from edge_retina.benchmark.operator import ADD, Operator, operator_model
from edge_retina.benchmark.runner import Runner
from edge_retina.files import write_json
from edge_retina.runtime.detections import Detections
from edge_retina.runtime.start_up_lines import without_start_up_lines

# Costs nothing but the call. Its time is taken from that of each operator, because a network
# enters the interpreter once.
CALL = Operator(ADD, height=1, width=1, channels=8, filters=8)
_REPEATS = 25
_WARMUP = 2  # invocations of a new operator that are not timed


class OperatorTimer:
    """Runs operators one after the other, each `repeats` times; a `worker.StagedPredictor`.

    Args:
        model: path of a JSON list of operators.
        repeats: so often an operator is run before the next one.
        num_threads: of the interpreter.
        use_xnnpack: whether XNNPACK runs it.
    """

    precision = "int8"
    labels = ()

    def __init__(self, model: str, *, repeats: int, num_threads: int, use_xnnpack: bool) -> None:
        found = json.loads(Path(model).read_text(encoding="utf-8"))
        self._operators = [Operator(**entry) for entry in found]
        self._repeats, self._threads = repeats, num_threads
        self._resolver = (
            OpResolverType.AUTO if use_xnnpack else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        )
        self._run = -2  # a session makes two runs before those that it keeps
        self._interpreter: Interpreter | None = None

    def preprocess(self, image_rgb: np.ndarray) -> Interpreter:
        """Make the next operator ready if it is its turn; the image is not used."""
        place, repeat = divmod(max(self._run, 0), self._repeats)
        self._run += 1
        if repeat == 0:
            self._interpreter = self._open(self._operators[place])
        return self._interpreter

    def invoke(self, tensor: Interpreter) -> None:
        """Run the operator."""
        tensor.invoke()

    def postprocess(self, raw: Any) -> Detections:
        """Find nothing."""
        return Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.int32), np.zeros(0))

    def predict(self, image_rgb: np.ndarray) -> Detections:
        """Run an operator once."""
        self.invoke(self.preprocess(image_rgb))
        return self.postprocess(None)

    def _open(self, operator: Operator) -> Interpreter:
        interpreter = Interpreter(
            model_content=operator_model(operator),
            num_threads=self._threads,
            experimental_op_resolver_type=self._resolver,
        )
        with without_start_up_lines():
            interpreter.allocate_tensors()
        for _ in range(_WARMUP):
            interpreter.invoke()
        return interpreter


def time_operators(
    operators: Sequence[Operator],
    *,
    runner: Runner,
    backend: str,
    threads: int,
    image: Path,
    scratch: Path,
) -> dict[Operator, float]:
    """Return the median time of each operator in ms, without that of the call.

    Args:
        operators: each once.
        runner: the device.
        backend: a key of `ALL_BACKENDS` for .tflite files.
        threads: of the interpreter.
        image: any image file, because workers read one.
        scratch: a directory for the list of operators.

    Raises:
        BenchmarkError: the device failed.
    """
    asked = [CALL, *operators]
    document = scratch / "operators.json"
    write_json(document, [dataclasses.asdict(operator) for operator in asked])
    candidate = Candidate(
        document, file=document, family="operators", backend=backend, threads=threads
    )
    task = dataclasses.replace(
        candidate.task([image], runs=_REPEATS * len(asked), warmup=0),
        factory="edge_retina.benchmark.operator_timing:OperatorTimer",
        options={**ALL_BACKENDS[backend].options(threads), "repeats": _REPEATS},
    )
    samples = np.asarray(runner.measure(candidate, task).inference_ms)
    medians = np.median(samples.reshape(len(asked), _REPEATS), axis=1)
    return {
        operator: max(float(median - medians[0]), 0.0)
        for operator, median in zip(operators, medians[1:], strict=True)
    }
