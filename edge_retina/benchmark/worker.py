"""Use one model in a process of its own: `python -m edge_retina.benchmark.worker`.

Reads a `WorkerTask` or a `DetectionTask` as JSON from standard input and writes a `WorkerResult` or
packed detections as JSON to standard output; when it fails, `{"error": "..."}` and exit code 1. A
process of its own gives every model the same fresh start: no caches, thread pools or memory of the
model before.
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

from edge_retina.benchmark.detection_answer import pack_detections
from edge_retina.benchmark.environment import read_environment
from edge_retina.benchmark.task import DetectionTask, Task, WorkerResult, WorkerTask
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
    images = [load_image(path) for path in task.images]
    predictor, init_ms = _open(task)
    # The first one also allocates and packs what the later ones find ready
    runs = [_timed(predictor, images[run % len(images)]) for run in range(task.warmup + task.runs)]
    stages = runs[task.warmup :]
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
        first_inference_ms=sum(runs[0]),
    )


def detect(task: DetectionTask) -> dict[str, Any]:
    """Open the model and find the objects in the images; see `pack_detections`."""
    predictor, _ = _open(task)
    if tuple(predictor.labels) != task.labels:  # it would be work for nothing
        return pack_detections(predictor.labels, [])
    found = [predictor.predict(load_image(path)) for path in task.images]
    return pack_detections(predictor.labels, found)


def _open(task: Task) -> tuple[StagedPredictor, float]:
    """Return the model and how long it took to open, in milliseconds."""
    cv2.setNumThreads(task.threads)
    # Imports what it needs: not part of opening the model
    factory = pkgutil.resolve_name(task.factory)
    start = time.perf_counter_ns()
    predictor: StagedPredictor = factory(task.model, **task.options)
    return predictor, _ms_since(start)


def _answer(text: str) -> dict[str, Any]:
    """Do what a task asks for, or describe this machine."""
    kind = json.loads(text)["kind"]
    if kind == "environment":
        return dataclasses.asdict(read_environment())
    if kind == "detect":
        return detect(DetectionTask.from_json(text))
    return dataclasses.asdict(measure(WorkerTask.from_json(text)))


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
    """Read the task, do it, write the answer; return the exit code."""
    # Libraries print to standard output, also from C++: it becomes standard error for them
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        document = _answer(sys.stdin.read())
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
