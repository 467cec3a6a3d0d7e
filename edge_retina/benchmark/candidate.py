"""One thing to be measured: a model, how it is run, and with how many threads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BACKENDS = ("keras", "tflite-builtin", "tflite-xnnpack")
_PRECISION_SUFFIXES = ("_float32", "_float16", "_int8")


@dataclass(frozen=True)
class Candidate:
    """A model as it is to be run in a worker process.

    Attributes:
        model: name for people, as a rule the path they gave.
        file: the file that holds the weights, for its size and hash.
        family: what was trained once; members are compared with their float32 .tflite.
        backend: one of `BACKENDS`.
        threads: of the network's execution, and of OpenCV in the preprocessing.
        factory: "module:function", called in the worker; see `worker.StagedPredictor`.
        kwargs: its arguments; plain JSON values.
        environment: variables set in the worker, for runtimes that take their threads from there.
    """

    model: str
    file: Path
    family: str
    backend: str
    threads: int
    factory: str
    kwargs: Mapping[str, Any]
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """For progress and messages."""
        plural = "" if self.threads == 1 else "s"
        return f"{self.model}, {self.backend}, {self.threads} thread{plural}"


def tflite_candidates(path: Path, *, threads: Sequence[int]) -> list[Candidate]:
    """Return a .tflite file with and without XNNPACK, for each number of threads."""
    return [
        Candidate(
            model=str(path),
            file=path,
            family=family_of(path),
            backend="tflite-xnnpack" if use_xnnpack else "tflite-builtin",
            threads=number,
            factory="edge_retina.runtime.detector:TFLiteDetector",
            kwargs={"path": str(path), "num_threads": number, "use_xnnpack": use_xnnpack},
        )
        for number in threads
        for use_xnnpack in (True, False)
    ]


def keras_candidates(
    run: Path, *, file: Path, family: str, factory: str, threads: Sequence[int]
) -> list[Candidate]:
    """Return a RUN's float Keras model for each number of threads.

    Args:
        run: the RUN.
        file: its float weights.
        family: the name under which it is exported.
        factory: a function that takes `run` and returns a predictor.
        threads: numbers of threads.
    """
    return [
        Candidate(
            model=str(run),
            file=file,
            family=family,
            backend="keras",
            threads=number,
            factory=factory,
            kwargs={"run": str(run)},
            # TensorFlow sizes its thread pools by these when it starts
            environment={"TF_NUM_INTRAOP_THREADS": str(number), "TF_NUM_INTEROP_THREADS": "1"},
        )
        for number in threads
    ]


def family_of(path: Path) -> str:
    """Return NAME of an exported NAME_float32.tflite or NAME_int8.tflite."""
    for suffix in _PRECISION_SUFFIXES:
        if path.stem.endswith(suffix):
            return path.stem.removesuffix(suffix)
    return path.stem
