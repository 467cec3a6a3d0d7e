"""The ways to run a model: tables used to open it here and to run it in a worker."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_retina.runtime.detections import Predictor
from edge_retina.runtime.foreign_settings import ForeignSettings

KERAS = "keras"
XNNPACK = "tflite-xnnpack"
BUILTIN = "tflite-builtin"
GPU = "tflite-gpu"
NNAPI = "tflite-nnapi"

FOREIGN = "edge_retina.runtime.foreign_detector:ForeignDetector"  # for other frameworks' files
_TFLITE = "edge_retina.runtime.detector:TFLiteDetector"


@dataclass(frozen=True)
class Backend:
    """One way to run a model.

    Attributes:
        opens: what it opens, "run" (a RUN) or "tflite" (a file).
        factory: "module:function", called with the path of what it opens and the options; returns a
            `worker.StagedPredictor`. A name, because the module may import TensorFlow.
        options: the factory's keyword arguments for a number of threads; plain JSON values.
        environment: variables that a worker needs for a number of threads.
        reference: the backend whose float32 model this one is compared with; "" for its own.
        delegate: what it hands the graph to; "" for nothing.
    """

    opens: str
    factory: str
    options: Callable[[int], dict[str, Any]]
    environment: Callable[[int], dict[str, str]] = lambda threads: {}
    reference: str = ""
    delegate: str = ""


def _default_kernels(threads: int) -> dict[str, Any]:
    return {"num_threads": threads, "use_xnnpack": True}


# In the order in which they are measured and shown.
BACKENDS: Mapping[str, Backend] = {
    KERAS: Backend(
        opens="run",
        factory="edge_retina.model.predictor:load_keras_predictor",
        options=lambda threads: {},
        # TensorFlow sizes its thread pools by these when it starts
        environment=lambda threads: {
            "TF_NUM_INTRAOP_THREADS": str(threads),
            "TF_NUM_INTEROP_THREADS": "1",
        },
        reference=XNNPACK,
    ),
    XNNPACK: Backend(
        opens="tflite",
        factory=_TFLITE,
        options=_default_kernels,
        delegate="xnnpack",
    ),
    BUILTIN: Backend(
        opens="tflite",
        factory=_TFLITE,
        options=lambda threads: {"num_threads": threads, "use_xnnpack": False},
    ),
}
# Accelerators that only some devices have; `factory` opens the same file here, for its pictures
# to be prepared and its outputs to be decoded.
DEVICE_BACKENDS: Mapping[str, Backend] = {
    GPU: Backend(opens="tflite", factory=_TFLITE, options=_default_kernels, delegate="gpu"),
    NNAPI: Backend(opens="tflite", factory=_TFLITE, options=_default_kernels, delegate="nnapi"),
}
ALL_BACKENDS: Mapping[str, Backend] = {**BACKENDS, **DEVICE_BACKENDS}


def short_name(backend: str) -> str:
    """Return what command lines call a backend: "tflite-xnnpack" is "xnnpack"."""
    return backend.removeprefix("tflite-")


def open_model(
    path: Path, backend: str, *, threads: int = 1, foreign: ForeignSettings | None = None
) -> Predictor:
    """Open a model in this process.

    Args:
        path: a RUN or a .tflite file, see `Backend.opens`.
        backend: a key of `BACKENDS`.
        threads: of a .tflite model's interpreter; Keras keeps the pools of this process.
        foreign: of a .tflite file of another framework.

    Raises:
        ModelError, RunError: it can't be opened.
    """
    entry = BACKENDS[backend]
    options = entry.options(threads)
    factory = entry.factory
    if foreign is not None:
        factory, options = FOREIGN, {**options, "settings": foreign}
    predictor: Predictor = pkgutil.resolve_name(factory)(str(path), **options)
    return predictor
