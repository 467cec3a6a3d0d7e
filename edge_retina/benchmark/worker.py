"""Measure one model in a process of its own: `python -m edge_retina.benchmark.worker`.

Reads a `WorkerTask` as JSON from standard input and writes a `WorkerResult` as JSON to standard
output; when it fails, `{"error": "..."}` and exit code 1. A process of its own gives every model
the same fresh start: no caches, thread pools or memory of the model before.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pkgutil
import resource
import sys
import time
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from edge_retina.benchmark.task import WorkerResult, WorkerTask
from edge_retina.errors import EdgeRetinaError
from edge_retina.runtime.detections import Detections, Predictor
from edge_retina.runtime.image import load_image

_PROC_STATUS = Path("/proc/self/status")


class StagedPredictor(Predictor, Protocol):
    """A predictor whose stages can be timed one by one; what a factory must return.

    It may also have `precision` (default "float32") and `delegate` (`DelegateInfo | None`).
    """

    def preprocess(self, image_rgb: np.ndarray) -> Any:
        """Turn an image into the network's input."""

    def invoke(self, tensor: Any) -> Any:
        """Run the network."""

    def postprocess(self, raw: Any) -> Detections:
        """Turn the network's outputs into detections."""


def measure(task: WorkerTask) -> WorkerResult:
    """Open the model and time it."""
    cv2.setNumThreads(task.threads)
    images = [load_image(path) for path in task.images]
    # Imports what it needs: not part of opening the model
    factory = pkgutil.resolve_name(task.factory)
    start = time.perf_counter_ns()
    predictor: StagedPredictor = factory(task.model, **task.options)
    init_ms = _ms_since(start)
    for run in range(task.warmup):
        predictor.predict(images[run % len(images)])
    stages = [_timed(predictor, images[run % len(images)]) for run in range(task.runs)]
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
        document = dataclasses.asdict(measure(WorkerTask.from_json(sys.stdin.read())))
        code = 0
    except Exception as error:  # reported to the parent, whatever it is
        kind = "" if isinstance(error, EdgeRetinaError) else f"{type(error).__name__}: "
        document = {"error": f"{kind}{error}"}
        code = 1
    with answer:
        json.dump(document, answer)
    return code


if __name__ == "__main__":
    sys.exit(main())
