"""Where a benchmark measures: what a device must offer, and the table behind `--device`.

A new kind of device is one file with a `Runner` and one line in `RUNNERS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from edge_retina.benchmark.adb import open_adb
from edge_retina.benchmark.candidate import Candidate
from edge_retina.benchmark.detection_answer import DetectionResult
from edge_retina.benchmark.device_options import DeviceOptions
from edge_retina.benchmark.environment import Environment
from edge_retina.benchmark.local import open_local
from edge_retina.benchmark.ssh import open_ssh
from edge_retina.benchmark.task import DetectionTask, TeamTask, WorkerResult, WorkerTask
from edge_retina.errors import BenchmarkError


class Runner(Protocol):
    """A device that candidates are measured on."""

    @property
    def name(self) -> str:
        """The device as `--device` names it, e.g. "local" or "ssh:USER@HOST"."""

    @property
    def backends(self) -> tuple[str, ...]:
        """Keys of `ALL_BACKENDS` that it can run."""

    def label(self, backend: str) -> str:
        """Return what results call one of its `backends`; each has its own label."""

    def environment(self) -> Environment:
        """Describe the device."""

    def measure(self, candidate: Candidate, task: WorkerTask) -> WorkerResult:
        """Do a candidate's task once, in a fresh process on the device.

        Paths in the task are those of this machine; copy the files first if the device has others.

        Raises:
            BenchmarkError: it failed; names the candidate.
            DeviceLostError: the connection broke and could not be made again.
        """

    def measure_together(
        self, candidates: Sequence[Candidate], team: TeamTask
    ) -> list[WorkerResult]:
        """Do the tasks of several candidates once, each in a fresh process, in short turns.

        A device that can't do so may `measure` them one after the other. Raises what `measure`
        raises.
        """

    def detect(self, candidate: Candidate, task: DetectionTask) -> DetectionResult:
        """Find objects with a candidate on the device; raises what `measure` raises."""

    def close(self) -> None:
        """Remove what was brought to the device; also called after an error."""


class DeviceKind(NamedTuple):
    """One kind of device.

    Attributes:
        usage: how `--device` is written for it, e.g. "adb[:SERIAL]".
        open: takes what follows the colon, or "", and the user's options; returns the runner.
    """

    usage: str
    open: Callable[[str, DeviceOptions], Runner]


# By scheme: what stands before the colon in `--device`.
RUNNERS: dict[str, DeviceKind] = {
    "local": DeviceKind("local", open_local),
    "ssh": DeviceKind("ssh:USER@HOST[:PORT]", open_ssh),
    "adb": DeviceKind("adb[:SERIAL]", open_adb),
}


def open_runner(device: str, options: DeviceOptions | None = None) -> Runner:
    """Return the runner of a `--device` such as "local".

    Args:
        device: the kind, and after a colon the address if it has one.
        options: about the device; by default what `DeviceOptions` says.

    Raises:
        BenchmarkError: there is no such kind of device, or this one can't be used.
    """
    scheme, _, address = device.partition(":")
    kind = RUNNERS.get(scheme)
    if kind is None:
        raise BenchmarkError(f"--device {device}: no such device; available: {device_usages()}")
    return kind.open(address, options or DeviceOptions())


def device_usages() -> str:
    """Return how each kind of device is written, for messages and --help."""
    return ", ".join(kind.usage for kind in RUNNERS.values())
