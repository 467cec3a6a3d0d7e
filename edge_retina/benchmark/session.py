"""One model, opened, warmed up and timed, all at once or block by block."""

from __future__ import annotations

import dataclasses
import itertools
import pkgutil
import resource
import sys
import time
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from edge_retina.benchmark.core_wait import CoreWait
from edge_retina.benchmark.other_load import OtherLoad
from edge_retina.benchmark.task import DetectionTask, WorkerResult, WorkerTask
from edge_retina.benchmark.warmup import warm_up
from edge_retina.runtime.detections import Detections, Predictor
from edge_retina.runtime.image import load_image

_PROC_STATUS = Path("/proc/self/status")

StageTimes = tuple[float, float, float]  # preprocessing, inference, postprocessing; milliseconds


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


class Session:
    """A model that is ready to be timed."""

    def __init__(self, task: WorkerTask) -> None:
        """Read the images, open the model and warm it up.

        Args:
            task: what to measure; how long is up to the callers of `run` and `run_block`.
        """
        self._images = [load_image(path) for path in task.images]
        self._predictor, self._init_ms = open_predictor(task)
        self._stages: list[StageTimes] = []
        self._lost_ms: list[float] = []
        self._blocks: list[int] = []
        self._others = OtherLoad()
        self._core = CoreWait()
        # One image only: those of different images take different times
        first = self._images[0]
        self._first_ms = sum(timed(self._predictor, first))  # it also allocates and packs
        self.warmup = warm_up(
            lambda: self._time(first)[1], least=task.warmup, max_seconds=task.max_warmup_s
        )

    def run(self, *, runs: int, min_seconds: float) -> None:
        """Time detections of the images in turn: so many at least, and for so long at least."""
        done, own_ms = 0, 0.0
        with self._others:
            for image in itertools.cycle(self._images):
                own_ms += self._keep(image)
                done += 1
                if done >= runs and own_ms >= 1000 * min_seconds:
                    break
        self._blocks.append(done)

    def run_block(self, *, runs: int, image: int) -> float:
        """Time some detections of one image, after an untimed one; return their seconds.

        The untimed one fetches into the caches what another process has displaced from them. The
        seconds are without what other programs took.

        Args:
            runs: how many.
            image: its number; after the last one comes the first again.
        """
        pixels = self._images[image % len(self._images)]
        timed(self._predictor, pixels)
        with self._others:
            own_ms = sum(self._keep(pixels) for _ in range(runs))
        self._blocks.append(runs)
        return own_ms / 1000

    def _keep(self, image_rgb: np.ndarray) -> float:
        """Time one detection that counts; return its own milliseconds, see `_time`."""
        stages, own_ms = self._time(image_rgb)
        self._stages.append(stages)
        self._lost_ms.append(sum(stages) - own_ms)
        return own_ms

    def _time(self, image_rgb: np.ndarray) -> tuple[StageTimes, float]:
        """Time one detection; also return its milliseconds without what other programs took."""
        # The clock's interval includes the counter's: whoever comes in between is in both
        start = time.perf_counter_ns()
        waited_ms = self._core.ms()
        stages = timed(self._predictor, image_rgb)
        waited_ms = self._core.ms() - waited_ms
        own_ms = (time.perf_counter_ns() - start) / 1e6 - waited_ms
        return stages, min(own_ms, sum(stages))

    def result(self) -> WorkerResult:
        """Return what was measured."""
        preprocess_ms, inference_ms, postprocess_ms = zip(*self._stages, strict=True)
        delegate = getattr(self._predictor, "delegate", None)
        return WorkerResult(
            init_ms=self._init_ms,
            preprocess_ms=preprocess_ms,
            inference_ms=inference_ms,
            postprocess_ms=postprocess_ms,
            peak_memory_mb=_peak_memory_mb(),
            precision=getattr(self._predictor, "precision", "float32"),
            delegate=None if delegate is None else dataclasses.asdict(delegate),
            first_inference_ms=self._first_ms,
            blocks=tuple(self._blocks),
            warmup=self.warmup,
            other_load=self._others.cores,
            lost_ms=tuple(self._lost_ms) if self._core.is_known else (),
        )


def open_predictor(task: WorkerTask | DetectionTask) -> tuple[StagedPredictor, float]:
    """Return the model and how long it took to open, in milliseconds."""
    cv2.setNumThreads(task.threads)
    # Imports what it needs: not part of opening the model
    factory = pkgutil.resolve_name(task.factory)
    start = time.perf_counter_ns()
    predictor: StagedPredictor = factory(task.model, **task.options)
    return predictor, (time.perf_counter_ns() - start) / 1e6


def timed(predictor: StagedPredictor, image_rgb: np.ndarray) -> StageTimes:
    """Make one detection and return the time of each stage."""
    clock = time.perf_counter_ns
    start = clock()
    tensor = predictor.preprocess(image_rgb)
    prepared = clock()
    raw = predictor.invoke(tensor)
    inferred = clock()
    predictor.postprocess(raw)
    end = clock()
    return (prepared - start) / 1e6, (inferred - prepared) / 1e6, (end - inferred) / 1e6


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
