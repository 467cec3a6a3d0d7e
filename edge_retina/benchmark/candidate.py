"""One thing to be measured: a model, a backend and a number of threads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_retina.benchmark.backends import ALL_BACKENDS, BACKENDS, FOREIGN
from edge_retina.benchmark.task import DetectionTask, WorkerTask
from edge_retina.runtime.foreign_settings import ForeignSettings

_PRECISION_SUFFIXES = ("_float32", "_float16", "_int8")


@dataclass(frozen=True)
class Candidate:
    """A model with one backend and one number of threads.

    Attributes:
        path: what the backend opens, a RUN or a .tflite file, as the user gave it.
        file: the file that holds the weights, for its size and hash.
        family: what was trained once; members are compared with their float32 .tflite.
        backend: a key of `ALL_BACKENDS`.
        threads: of the network's execution, and of OpenCV in the preprocessing.
        foreign: of a .tflite file of another framework; None for this package's models.
    """

    path: Path
    file: Path
    family: str
    backend: str
    threads: int
    foreign: ForeignSettings | None = None

    @property
    def model(self) -> str:
        """Name of the model in results."""
        return str(self.path)

    @property
    def title(self) -> str:
        """For progress and messages."""
        plural = "" if self.threads == 1 else "s"
        return f"{self.model}, {self.backend}, {self.threads} thread{plural}"

    def task(
        self,
        images: Sequence[Path],
        *,
        runs: int,
        warmup: int,
        min_seconds: float = 0.0,
        max_warmup_s: float = 0.0,
    ) -> WorkerTask:
        """Return what a worker has to do to measure this candidate once; see `WorkerTask`."""
        backend = ALL_BACKENDS[self.backend]
        factory, options = self._opening()
        return WorkerTask(
            factory=factory,
            model=str(self.path),
            options=options,
            environment=backend.environment(self.threads),
            images=tuple(str(path) for path in images),
            runs=runs,
            warmup=warmup,
            threads=self.threads,
            min_seconds=min_seconds,
            max_warmup_s=max_warmup_s,
        )

    def detection_task(self, images: Sequence[Path], labels: Sequence[str]) -> DetectionTask:
        """Return what a worker has to do to find the objects in images.

        Args:
            images: image files.
            labels: the class names that the model should have.
        """
        backend = ALL_BACKENDS[self.backend]
        factory, options = self._opening()
        return DetectionTask(
            factory=factory,
            model=str(self.path),
            options=options,
            environment=backend.environment(self.threads),
            images=tuple(str(path) for path in images),
            labels=tuple(labels),
            threads=self.threads,
        )

    def _opening(self) -> tuple[str, dict[str, Any]]:
        """Return what opens the model, and its options as plain JSON values."""
        backend = ALL_BACKENDS[self.backend]
        options = backend.options(self.threads)
        if self.foreign is not None:
            return FOREIGN, {**options, "settings": self.foreign.to_dict()}
        return backend.factory, options


def tflite_candidates(
    path: Path,
    *,
    threads: Sequence[int],
    backends: Sequence[str] = tuple(BACKENDS),
    foreign: ForeignSettings | None = None,
) -> list[Candidate]:
    """Return a .tflite file with the backends for such files, for each number of threads.

    Args:
        path: the file.
        threads: numbers of threads.
        backends: keys of `ALL_BACKENDS`, those that the device has.
        foreign: of another framework's file.
    """
    return _candidates(
        "tflite",
        path,
        file=path,
        family=family_of(path),
        threads=threads,
        backends=backends,
        foreign=foreign,
    )


def run_candidates(
    run: Path, *, file: Path, family: str, threads: Sequence[int]
) -> list[Candidate]:
    """Return a RUN's float model with every backend for RUNs, for each number of threads.

    Args:
        run: the RUN.
        file: its float weights.
        family: the name under which it is exported.
        threads: numbers of threads.
    """
    return _candidates(
        "run", run, file=file, family=family, threads=threads, backends=tuple(BACKENDS)
    )


def _candidates(
    opens: str,
    path: Path,
    *,
    file: Path,
    family: str,
    threads: Sequence[int],
    backends: Sequence[str],
    foreign: ForeignSettings | None = None,
) -> list[Candidate]:
    return [
        Candidate(path, file=file, family=family, backend=name, threads=number, foreign=foreign)
        for number in threads
        for name, backend in ALL_BACKENDS.items()
        if backend.opens == opens and name in backends
    ]


def family_of(path: Path) -> str:
    """Return NAME of an exported NAME_float32.tflite or NAME_int8.tflite."""
    for suffix in _PRECISION_SUFFIXES:
        if path.stem.endswith(suffix):
            return path.stem.removesuffix(suffix)
    return path.stem
