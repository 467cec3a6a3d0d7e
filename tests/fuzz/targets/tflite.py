"""A .tflite file that `inspect`, `predict` and `evaluate` are given."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import numpy as np

from edge_retina.benchmark.backends import BUILTIN, XNNPACK, open_model
from edge_retina.errors import EdgeRetinaError
from edge_retina.runtime import trial_run
from edge_retina.runtime.foreign import foreign_settings
from edge_retina.runtime.foreign_settings import ForeignChoices
from edge_retina.runtime.inspection import inspect_model
from tests.fuzz.target import Target

_PICTURE = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)


def _fork(path: Path, seconds: float, most_bytes: int) -> tuple[int, str]:
    """Run the trial in a copy of this process, which takes milliseconds; it has one thread."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(2)
            trial_run.run_limited(path, seconds, most_bytes)
            code = 0
        except MemoryError:
            code = 3
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), ""


def check(content: bytes, name: str, directory: Path) -> None:
    """Open it in every way; what one refuses another may take."""
    trial_run._start = _fork  # type: ignore[assignment]
    path = directory / name
    path.write_bytes(content)
    (directory / "labels.txt").write_text("disc\nsquare\n")
    refusals = []
    try:
        json.dumps(inspect_model(path).to_dict())
    except EdgeRetinaError as error:
        refusals.append(error)
    for backend in (XNNPACK, BUILTIN):
        try:
            settings = foreign_settings(path, ForeignChoices())
            if settings is not None:
                dataclasses.asdict(settings)
            open_model(path, backend, foreign=settings).predict(_PICTURE)
        except EdgeRetinaError as error:
            refusals.append(error)
    if refusals:
        raise max(refusals, key=lambda error: len(str(error)))


TARGET = Target("tflite", check)
