"""Measure one model in a process of its own: `python -m edge_retina.benchmark.worker`.

Reads a `WorkerTask` as JSON from standard input and writes a `WorkerResult` as JSON to standard
output; when it fails, `{"error": "..."}` and exit code 1. A process of its own gives every model
the same fresh start: no caches, thread pools or memory of the model before.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from edge_retina.errors import BenchmarkError, EdgeRetinaError
from edge_retina.runtime.detections import Detections, Predictor
from edge_retina.runtime.image import load_image

_PROC_STATUS = Path("/proc/self/status")


class StagedPredictor(Predictor, Protocol):
    """A predictor whose stages can be timed one by one; what a factory must return.

    It may also have `precision` ("float32" is assumed) and `delegate` (`DelegateInfo | None`).
    """

    def preprocess(self, image_rgb: np.ndarray) -> Any:
        """Turn a picture into the network's input."""

    def invoke(self, tensor: Any) -> Any:
        """Run the network."""

    def postprocess(self, raw: Any) -> Detections:
        """Turn the network's outputs into detections."""


@dataclass(frozen=True)
class WorkerTask:
    """What to measure.

    Attributes:
        factory: "module:function" that returns a `StagedPredictor`.
        kwargs: its arguments.
        images: picture files, used in turn.
        runs: number of timed detections.
        warmup: number of detections before them that aren't timed.
        threads: of OpenCV in the preprocessing; the network's are up to the factory's arguments.
    """

    factory: str
    kwargs: dict[str, Any]
    images: tuple[str, ...]
    runs: int
    warmup: int
    threads: int


@dataclass(frozen=True)
class WorkerResult:
    """What was measured: times in milliseconds, by stage and run."""

    init_ms: float
    preprocess_ms: tuple[float, ...]
    inference_ms: tuple[float, ...]
    postprocess_ms: tuple[float, ...]
    peak_memory_mb: float | None
    precision: str
    delegate: dict[str, Any] | None


def build_predictor(factory: str, kwargs: Mapping[str, Any]) -> Any:
    """Call a factory named "module:function".

    Raises:
        BenchmarkError: no such module or function.
    """
    return _find_factory(factory)(**kwargs)


def measure(task: WorkerTask) -> WorkerResult:
    """Open the model and time it."""
    cv2.setNumThreads(task.threads)
    pictures = [load_image(path) for path in task.images]
    factory = _find_factory(task.factory)  # imports what it needs: not part of opening the model
    start = time.perf_counter_ns()
    predictor: StagedPredictor = factory(**task.kwargs)
    init_ms = _ms_since(start)
    for run in range(task.warmup):
        predictor.predict(pictures[run % len(pictures)])
    stages = [_timed(predictor, pictures[run % len(pictures)]) for run in range(task.runs)]
    preprocess_ms, inference_ms, postprocess_ms = zip(*stages, strict=True)
    delegate = getattr(predictor, "delegate", None)
    return WorkerResult(
        init_ms=init_ms,
        preprocess_ms=preprocess_ms,
        inference_ms=inference_ms,
        postprocess_ms=postprocess_ms,
        peak_memory_mb=_peak_memory_mb(),
        precision=getattr(predictor, "precision", "float32"),
        delegate=None if delegate is None else dataclasses.asdict(delegate),
    )


def _timed(predictor: StagedPredictor, image_rgb: np.ndarray) -> tuple[float, float, float]:
    clock = time.perf_counter_ns
    start = clock()
    tensor = predictor.preprocess(image_rgb)
    prepared = clock()
    raw = predictor.invoke(tensor)
    inferred = clock()
    predictor.postprocess(raw)
    end = clock()
    return (prepared - start) / 1e6, (inferred - prepared) / 1e6, (end - inferred) / 1e6


def _ms_since(start_ns: int) -> float:
    return (time.perf_counter_ns() - start_ns) / 1e6


def _find_factory(name: str) -> Any:
    module, _, function = name.partition(":")
    try:
        return getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise BenchmarkError(f"factory '{name}' can't be used: {error}") from error


def _peak_memory_mb() -> float | None:
    # getrusage's maximum starts from what the parent had when it forked, even after exec: the
    # worker of a large parent would seem large. Linux keeps this program's own figure in VmHWM.
    if _PROC_STATUS.is_file():
        for line in _PROC_STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
        return None
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kibibytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def main() -> int:
    """Read the task, measure, write the result; return the exit code."""
    # Libraries print to standard output, also from C++: it becomes standard error for them
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        document = dataclasses.asdict(measure(_read_task(sys.stdin.read())))
        code = 0
    except Exception as error:  # whatever it is belongs to the one who started this process
        kind = "" if isinstance(error, EdgeRetinaError) else f"{type(error).__name__}: "
        document = {"error": f"{kind}{error}"}
        code = 1
    with answer:
        json.dump(document, answer)
    return code


def _read_task(text: str) -> WorkerTask:
    tree = json.loads(text)
    images: Sequence[str] = tree.pop("images")
    return WorkerTask(images=tuple(images), **tree)


if __name__ == "__main__":
    sys.exit(main())
