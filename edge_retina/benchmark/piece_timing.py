"""Time pieces of a model beside one another, each in an interpreter of its own."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edge_retina.benchmark import backends
from edge_retina.errors import BenchmarkError
from edge_retina.progress import ProgressUpdate
from edge_retina.runtime.cutting import Piece
from edge_retina.runtime.start_up_lines import without_start_up_lines

XNNPACK, BUILTIN = map(backends.short_name, (backends.XNNPACK, backends.BUILTIN))
_FEWEST_RUNS = 3


@dataclass(frozen=True)
class Kernels:
    """What carries operators out.

    Attributes:
        backend: "xnnpack", LiteRT's own kernels for what that leaves; or "builtin", these alone.
        threads: of the interpreter.
    """

    backend: str
    threads: int

    def open(self, content: bytes, *, keep_tensors: bool = False) -> Interpreter:
        """Return an interpreter whose tensors are not allocated yet.

        Args:
            content: of a .tflite file.
            keep_tensors: those between operators can be read after a run.

        Raises:
            RuntimeError, ValueError: LiteRT refuses the model.
        """
        uses_xnnpack = self.backend == XNNPACK
        return Interpreter(
            model_content=content,
            num_threads=self.threads,
            experimental_op_resolver_type=OpResolverType.AUTO
            if uses_xnnpack
            else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            experimental_preserve_all_tensors=keep_tensors,
        )


class TimedPiece:
    """A piece of a model that stands ready with real values in its inputs."""

    def __init__(self, piece: Piece, values: Mapping[int, np.ndarray], kernels: Kernels) -> None:
        """Open it.

        Args:
            piece: see `runtime.cutting`.
            values: of the whole model's tensors, by their index there.
            kernels: to run it with.

        Raises:
            RuntimeError, ValueError: LiteRT refuses the piece.
        """
        self._interpreter = kernels.open(piece.content)
        given = [values[index] for index in piece.inputs]
        details = self._interpreter.get_input_details()
        for detail, value in zip(details, given, strict=True):
            if tuple(detail["shape"]) != value.shape:  # a side that the file leaves open
                self._interpreter.resize_tensor_input(detail["index"], value.shape)
        with without_start_up_lines():
            self._interpreter.allocate_tensors()
        for detail, value in zip(details, given, strict=True):
            self._interpreter.set_tensor(detail["index"], value)
        self._interpreter.invoke()  # packs weights and allocates what is allocated late

    def median_ms(self, slice_ms: float) -> float:
        """Run for at least so long and three times; return the median of the single times."""
        invoke, clock = self._interpreter.invoke, time.perf_counter_ns
        invoke()  # brings code and data back into the caches
        times: list[int] = []
        end = clock() + slice_ms * 1e6
        while len(times) < _FEWEST_RUNS or clock() < end:
            start = clock()
            invoke()
            times.append(clock() - start)
        return statistics.median(times) / 1e6


def sample_tensors(
    content: bytes, inputs: Sequence[np.ndarray], *, threads: int, where: str
) -> dict[int, np.ndarray]:
    """Run a model once with LiteRT's own kernels; return the values of its tensors by index.

    Decoding and NMS take as long as what they are given makes them take, so pieces are timed on
    what the whole model hands them.

    Args:
        content: of a .tflite file.
        inputs: in the model's order.
        threads: of the interpreter.
        where: the file's name, for the error message.

    Raises:
        BenchmarkError: LiteRT can't run the model.
    """
    try:
        interpreter = Kernels(BUILTIN, threads).open(content, keep_tensors=True)
        details = interpreter.get_input_details()
        with without_start_up_lines():
            interpreter.allocate_tensors()
        for detail, values in zip(details, inputs, strict=True):
            interpreter.set_tensor(detail["index"], values)
        interpreter.invoke()
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise BenchmarkError(
            f"{where}: LiteRT can't run the model ({reason}); only what runs can be profiled"
        ) from None
    found = {}
    for tensor in interpreter.get_tensor_details():
        try:
            found[int(tensor["index"])] = interpreter.get_tensor(tensor["index"])
        except ValueError:  # a tensor without values: an operator's scratch, or none at all
            continue
    return found


def time_interleaved(
    pieces: Sequence[Callable[[float], float]],
    *,
    rounds: int,
    slices_ms: Sequence[float],
    progress: ProgressUpdate = lambda done, note="", *, total=None: None,
) -> list[float]:
    """Time every piece in each round; return the medians over the rounds, in milliseconds.

    What else the machine does then hits all of them alike.

    Args:
        pieces: each runs for a time and returns its median, see `TimedPiece.median_ms`.
        rounds: how often all of them have their turn.
        slices_ms: how long each piece's turn is.
        progress: called after each round.
    """
    medians: list[list[float]] = [[] for _ in pieces]
    for number in range(rounds):
        for measure, slice_ms, series in zip(pieces, slices_ms, medians, strict=True):
            series.append(measure(slice_ms))
        progress(number + 1)
    return [statistics.median(series) for series in medians]
