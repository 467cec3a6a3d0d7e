"""Predictors that workers build in tests, found through PYTHONPATH; `model` is not read."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import numpy as np

import edge_retina
from edge_retina.runtime.detections import Detections


class SleepyPredictor:
    """Takes known times: 1 ms, `inference_ms` and 0."""

    labels = ("cat",)

    def __init__(self, model: str, inference_ms: float) -> None:
        time.sleep(0.03)
        self.inference_ms = inference_ms

    def preprocess(self, image_rgb: np.ndarray) -> np.ndarray:
        time.sleep(0.001)
        return image_rgb

    def invoke(self, tensor: np.ndarray) -> float:
        time.sleep(self.inference_ms / 1000)
        return float(tensor.mean())

    def postprocess(self, raw: Any) -> Detections:
        return Detections(np.zeros((0, 4)), np.zeros(0, np.int32), np.zeros(0))

    def predict(self, image_rgb: np.ndarray) -> Detections:
        return self.postprocess(self.invoke(self.preprocess(image_rgb)))


def noisy_output(model: str, inference_ms: float) -> SleepyPredictor:
    """Writes to standard output, from Python and past it."""
    print("a library's greeting")
    os.write(1, b"and one from C\n")
    return SleepyPredictor(model, inference_ms)


def failing(model: str) -> None:
    raise RuntimeError("no such accelerator")


def crashing(model: str) -> None:
    os.abort()


def sees(model: str, variable: str) -> None:
    raise RuntimeError(f"{variable}={os.environ.get(variable)}")


def telling_the_package(model: str) -> None:
    raise RuntimeError(edge_retina.__file__)


def stalling(model: str) -> None:
    time.sleep(60)


def cutting_once(model: str, marker: str) -> SleepyPredictor:
    """Ends what started the worker, but only once: then `marker` is there."""
    if not os.path.exists(marker):
        with open(marker, "w"):
            pass
        os.kill(os.getppid(), signal.SIGTERM)
        time.sleep(60)
    return SleepyPredictor(model, inference_ms=0.1)


class NotingPredictor(SleepyPredictor):
    """Writes its name and the picture's grey level to a file for each detection."""

    def __init__(self, model: str, inference_ms: float, name: str, notes: str) -> None:
        super().__init__(model, inference_ms)
        self.name = name
        self.notes = notes

    def postprocess(self, raw: Any) -> Detections:
        with open(self.notes, "a") as stream:
            stream.write(f"{self.name}{raw:.0f} ")
        return super().postprocess(raw)


def stalling_with_note(model: str, notes: str) -> None:
    """Writes its process's number and does nothing more."""
    with open(notes, "w") as stream:
        stream.write(f"{os.getpid()} ")
    time.sleep(60)
