"""Use models on another machine through ssh: a worker is brought there, used and removed again."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import re
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from edge_retina.benchmark.backends import BUILTIN, XNNPACK
from edge_retina.benchmark.candidate import Candidate
from edge_retina.benchmark.connection import Connection
from edge_retina.benchmark.detection_answer import DetectionResult, unpack_detections
from edge_retina.benchmark.device_options import DeviceOptions
from edge_retina.benchmark.environment import Environment
from edge_retina.benchmark.ssh_errors import Address
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
from edge_retina.benchmark.worker_archive import WORKER_NAME, build_worker_archive
from edge_retina.errors import BenchmarkError, DeviceLostError
from edge_retina.files import sha256_file
from edge_retina.runtime.manifest import MANIFEST_NAME
from edge_retina.runtime.model_file import LABELS_NAME
from edge_retina.stored_files import file_size, read_bytes

log = logging.getLogger(__name__)

_SPARE_BYTES = 32 * 2**20  # kept free on the device: its logs, caches of libraries
_RETRIES_S = (1.0, 5.0, 15.0)  # a Wi-Fi that reconnects, a router that restarts
# [USER@]HOST[:PORT], an IPv6 address in brackets. No "-" in front: ssh would take it as an option
_ADDRESS = re.compile(
    r"(?P<user>[\w.][\w.+-]*@)?(?P<host>\[[0-9A-Fa-f:.%\w]+\]|[\w.][\w.-]*)(:(?P<port>\d+))?"
)

_Result = TypeVar("_Result")
_TaskT = TypeVar("_TaskT", WorkerTask, DetectionTask)


@dataclass(frozen=True)
class _Sent:
    """A file as it is called on the device."""

    path: Path
    name: str
    sha256: str


@dataclass
class SshRunner:
    """A `runner.Runner` for a machine that ssh reaches.

    Attributes:
        address: of the machine.
        python: the Python that runs workers there.
        timeout_s: of one measurement.
        retries_s: pauses before a lost connection is tried again.
    """

    address: Address
    python: str = DeviceOptions.python
    timeout_s: float = 1800
    retries_s: Sequence[float] = _RETRIES_S
    _connection: Connection | None = None
    _there: set[str] = field(default_factory=set)  # names of files on the device
    _hashes: dict[Path, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """See `Runner`."""
        return f"ssh:{self.address}"

    @property
    def backends(self) -> tuple[str, ...]:
        """Those of .tflite files: a device has no TensorFlow."""
        return (XNNPACK, BUILTIN)

    def label(self, backend: str) -> str:
        """The backend's own name."""
        return backend

    def environment(self) -> Environment:
        """Describe the machine.

        Raises:
            BenchmarkError: it can't be reached or used.
        """

        def ask(connection: Connection) -> Environment:
            process = self._run(connection, {"kind": "environment"}, {}, title=self.name)
            return Environment(**read_document(process, title=self.name))

        return self._keep_trying(ask)

    def measure(self, candidate: Candidate, task: WorkerTask) -> WorkerResult:
        """Measure in a fresh process there; see `Runner`."""
        title = candidate.title

        def measure(connection: Connection) -> WorkerResult:
            there, files = self._renamed(task)
            self._bring(connection, files, title=title)
            process = self._start(connection, there, title=title, timeout_s=self.timeout_s)
            return read_answer(process, title=title)

        return self._keep_trying(measure)

    def measure_together(
        self, candidates: Sequence[Candidate], team: TeamTask
    ) -> list[WorkerResult]:
        """Measure in fresh processes there that take turns; see `Runner`."""
        titles = [candidate.title for candidate in candidates]

        def measure(connection: Connection) -> list[WorkerResult]:
            members = []
            for task, title in zip(team.members, titles, strict=True):
                there, files = self._renamed(task)
                self._bring(connection, files, title=title)
                members.append(there)
            process = self._start(
                connection,
                dataclasses.replace(team, members=tuple(members)),
                title=" and ".join(titles),
                timeout_s=self.timeout_s * len(members),
            )
            return read_team_answer(process, titles=titles)

        return self._keep_trying(measure)

    def detect(self, candidate: Candidate, task: DetectionTask) -> DetectionResult:
        """Find objects in a fresh process there; see `Runner`."""
        title = candidate.title

        def find(connection: Connection) -> DetectionResult:
            there, files = self._renamed(task)
            self._bring(connection, files, title=title)
            # However many images there are, it may take its time; ssh notices a dead connection
            process = self._start(connection, there, title=title, timeout_s=None)
            document = read_document(process, title=title)
            return dataclasses.replace(unpack_detections(document), device=self.name)

        return self._keep_trying(find)

    def close(self) -> None:
        """Leave; the agent removes everything that was brought."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
            self._there.clear()

    def _keep_trying(self, work: Callable[[Connection], _Result]) -> _Result:
        """Do work on the device; if the connection breaks, connect again and start it over."""
        try:
            return work(self._connected())
        except DeviceLostError as error:
            lost = error
        for pause_s in self.retries_s:
            self.close()
            log.warning("%s; trying again in %g s", lost, pause_s)
            time.sleep(pause_s)
            try:
                return work(self._connected(again=True))
            except DeviceLostError as error:
                lost = error
        self.close()
        raise lost

    def _connected(self, *, again: bool = False) -> Connection:
        if self._connection is None:
            try:
                self._connection = Connection(self.address, self.python)
            except BenchmarkError as error:
                if again:
                    raise DeviceLostError(
                        f"connection to {self.name} lost, and not to be had again ({error})"
                    ) from None
                raise
        return self._connection

    def _renamed(self, task: _TaskT) -> tuple[_TaskT, list[_Sent]]:
        """Return a task with the names that its files have on the device, and these files."""
        models: list[_Sent] = self._model_files(Path(task.model))
        pictures: list[_Sent] = [self._image(Path(path)) for path in task.images]
        names = tuple(picture.name for picture in pictures)
        there = dataclasses.replace(task, model=models[0].name, images=names)
        return there, [*models, *pictures]

    def _start(
        self, connection: Connection, task: Task, *, title: str, timeout_s: float | None
    ) -> subprocess.CompletedProcess[str]:
        document = json.loads(task.to_json())
        return self._run(connection, document, task.environment, title=title, timeout_s=timeout_s)

    def _run(
        self,
        connection: Connection,
        task: dict[str, Any],
        environment: dict[str, str],
        *,
        title: str,
        timeout_s: float | None = None,
    ) -> subprocess.CompletedProcess[str]:
        if WORKER_NAME not in self._there:
            content = build_worker_archive()
            self._put(connection, WORKER_NAME, content, hashlib.sha256(content).hexdigest())
        request = {
            "do": "run",
            "program": WORKER_NAME,
            "input": json.dumps(task),
            "environment": environment,
        }
        try:
            answer = connection.request(request, timeout_s=timeout_s)
        except TimeoutError:
            self.close()
            raise BenchmarkError(
                f"{title}: not done on {self.name} after {timeout_s:g} s; measure fewer runs"
            ) from None
        return subprocess.CompletedProcess(
            [self.python], answer["returncode"], answer["stdout"], answer["stderr"]
        )

    def _model_files(self, model: Path) -> list[_Sent]:
        """Return the model and what is read beside it, in a directory of their own."""
        beside = [model.parent / name for name in (MANIFEST_NAME, LABELS_NAME)]
        paths = [model, *(path for path in beside if path.is_file())]
        hashes = [self._sha256(path) for path in paths]
        directory = hashlib.sha256("".join(hashes).encode()).hexdigest()[:16]
        return [
            _Sent(path, f"models/{directory}/{path.name}", digest)
            for path, digest in zip(paths, hashes, strict=True)
        ]

    def _image(self, path: Path) -> _Sent:
        digest = self._sha256(path)
        return _Sent(path, str(PurePosixPath("images") / f"{digest}{path.suffix}"), digest)

    def _sha256(self, path: Path) -> str:
        if path not in self._hashes:
            try:
                self._hashes[path] = sha256_file(path)
            except OSError as error:
                raise BenchmarkError(f"{path}: can't be read ({error.strerror})") from None
        return self._hashes[path]

    def _bring(self, connection: Connection, files: Iterable[_Sent], *, title: str) -> None:
        """Copy what isn't there yet, if there is room for it."""
        wanted = {item.name: item for item in files if item.name not in self._there}
        if not wanted:
            return
        needed = sum(file_size(item.path) for item in wanted.values())
        free = connection.request({"do": "room"})["free"]
        if needed + _SPARE_BYTES > free:
            raise BenchmarkError(
                f"{title}: no room on {self.name}: {needed / 1e6:.1f} MB to copy and "
                f"{_SPARE_BYTES / 1e6:.1f} MB to spare, {free / 1e6:.1f} MB free; free some there, "
                "or use fewer images"
            )
        for item in wanted.values():
            self._put(connection, item.name, read_bytes(item.path), item.sha256)

    def _put(self, connection: Connection, name: str, content: bytes, sha256: str) -> None:
        request = {"do": "put", "path": name, "bytes": len(content), "sha256": sha256}
        answer = connection.request(request, content)
        if "error" in answer:
            raise BenchmarkError(
                f"{self.name}: {PurePosixPath(name).name} could not be copied: {answer['error']}; "
                "free some room there, or try again"
            )
        self._there.add(name)


def open_ssh(address: str, options: DeviceOptions) -> SshRunner:
    """Return the runner of `--device ssh:USER@HOST[:PORT]`; it connects when it is first used.

    Raises:
        BenchmarkError: that is no address.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None or int(match["port"] or 22) > 65535:
        raise BenchmarkError(
            f"--device ssh:{address}: expected ssh:USER@HOST or ssh:USER@HOST:PORT, e.g. "
            "ssh:pi@192.168.1.20"
        )
    destination = (match["user"] or "") + match["host"].strip("[]")
    port = int(match["port"]) if match["port"] else None
    return SshRunner(Address(destination, port), python=options.python)
