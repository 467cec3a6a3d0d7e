"""Use models on this machine, each candidate in a fresh process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from edge_retina.benchmark.backends import BACKENDS
from edge_retina.benchmark.candidate import Candidate
from edge_retina.benchmark.detection_answer import DetectionResult, unpack_detections
from edge_retina.benchmark.device_options import DeviceOptions
from edge_retina.benchmark.environment import Environment, read_environment
from edge_retina.benchmark.parent_watch import parent_pipe
from edge_retina.benchmark.task import (
    DetectionTask,
    Task,
    TeamTask,
    WorkerResult,
    WorkerTask,
    read_answer,
    read_document,
    read_team_answer,
)
from edge_retina.errors import BenchmarkError


@dataclass(frozen=True)
class LocalRunner:
    """A `runner.Runner` for this machine.

    Attributes:
        timeout_s: of one measurement: TensorFlow's start on a small board, then hundreds of runs.
    """

    timeout_s: float = 1800

    @property
    def name(self) -> str:
        """See `Runner`."""
        return "local"

    @property
    def backends(self) -> tuple[str, ...]:
        """All there are."""
        return tuple(BACKENDS)

    def label(self, backend: str) -> str:
        """The backend's own name."""
        return backend

    def environment(self) -> Environment:
        """Describe this machine."""
        return read_environment()

    def measure(self, candidate: Candidate, task: WorkerTask) -> WorkerResult:
        """Measure in a fresh process.

        Raises:
            BenchmarkError: the worker failed, crashed or took longer than `timeout_s`.
        """
        process = _run_worker(task, timeout_s=self.timeout_s, title=candidate.title)
        return read_answer(process, title=candidate.title)

    def measure_together(
        self, candidates: Sequence[Candidate], team: TeamTask
    ) -> list[WorkerResult]:
        """Measure in fresh processes that take turns.

        Raises:
            BenchmarkError: one failed, crashed, or all took longer than `timeout_s` for each.
        """
        titles = [candidate.title for candidate in candidates]
        timeout_s = self.timeout_s * len(titles)
        process = _run_worker(team, timeout_s=timeout_s, title=" and ".join(titles))
        return read_team_answer(process, titles=titles)

    def detect(self, candidate: Candidate, task: DetectionTask) -> DetectionResult:
        """Find objects in a fresh process, however long that takes.

        Raises:
            BenchmarkError: the worker failed or crashed.
        """
        process = _run_worker(task, timeout_s=None, title=candidate.title)
        return unpack_detections(read_document(process, title=candidate.title))

    def close(self) -> None:
        """Nothing is left behind."""


def _run_worker(
    task: Task, *, timeout_s: float | None, title: str
) -> subprocess.CompletedProcess[str]:
    try:
        with parent_pipe() as pipe:
            return subprocess.run(
                [sys.executable, "-m", "edge_retina.benchmark.worker"],
                input=task.to_json(),
                capture_output=True,
                text=True,
                timeout=timeout_s,
                env={**os.environ, **task.environment, **pipe.environment},
                pass_fds=(pipe.descriptor,),
            )
    except subprocess.TimeoutExpired:
        raise BenchmarkError(
            f"{title}: not done after {timeout_s:g} s; measure fewer runs"
        ) from None


def open_local(address: str, options: DeviceOptions) -> LocalRunner:
    """Return the runner of `--device local`.

    Raises:
        BenchmarkError: there is an address.
    """
    if address:
        raise BenchmarkError(
            f"--device local:{address}: local takes no address; use --device local"
        )
    return LocalRunner()
