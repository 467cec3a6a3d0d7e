"""One connection to an `agent` on a device: started through ssh, spoken to over its pipes."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from edge_retina.benchmark import agent
from edge_retina.errors import BenchmarkError, DeviceLostError

SSH_VARIABLE = "EDGE_RETINA_SSH"  # like GIT_SSH_COMMAND: another ssh, or one with options
_OLDEST_PYTHON = (3, 10)
_PACKAGES = {
    "numpy": "numpy",
    "cv2": "opencv-python-headless",
    "ai_edge_litert": "ai-edge-litert",
}
# Never asks; notices within a minute that the other side is gone
_OPTIONS = (
    *("-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=20"),
    *("-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4"),
)


@dataclass(frozen=True)
class Address:
    """Where ssh goes.

    Attributes:
        destination: "USER@HOST" or "HOST", which may be a name in the user's ssh configuration.
        port: None for the configured one.
    """

    destination: str
    port: int | None = None

    def __str__(self) -> str:
        return self.destination if self.port is None else f"{self.destination}:{self.port}"

    @property
    def arguments(self) -> list[str]:
        """What ssh is told."""
        port = [] if self.port is None else ["-p", str(self.port)]
        return [*port, self.destination]


class Connection:
    """An agent that runs on the device; not to be used by two threads at once."""

    def __init__(self, address: Address, python: str) -> None:
        """Connect, and check that the device can run workers.

        Args:
            address: of the device.
            python: the Python there; a leading "~/" is the user's directory there.

        Raises:
            BenchmarkError: it can't be reached or used; the message says how to mend that.
        """
        self._address = address
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed by close()
        self._process = self._start(python)
        try:
            greeting = self._greeting(python)
            self._check(greeting, python)
            self.root = str(greeting["root"])  # the directory on the device, for messages
        except BaseException:
            self.close()
            raise

    def request(
        self, content: dict[str, Any], payload: bytes = b"", *, timeout_s: float | None = None
    ) -> dict[str, Any]:
        """Send a request and return the answer; see `agent`.

        Raises:
            DeviceLostError: the connection broke.
            TimeoutError: no answer within `timeout_s`; the connection is closed.
        """
        late = threading.Event()

        def stop() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(timeout_s or 0, stop)
        if timeout_s is not None:
            timer.start()
        try:
            stream = cast(IO[bytes], self._process.stdin)
            stream.write(json.dumps(content).encode() + b"\n" + payload)
            stream.flush()
            line = cast(IO[bytes], self._process.stdout).readline()
        except BrokenPipeError:
            line = b""
        finally:
            timer.cancel()
        if late.is_set():
            raise TimeoutError
        if not line.endswith(b"\n"):
            raise DeviceLostError(f"connection to ssh:{self._address} lost ({self._last_words()})")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End the agent, which removes what it kept, and wait for that."""
        stream = cast(IO[bytes], self._process.stdin)
        with contextlib.suppress(BrokenPipeError):  # it is gone already
            stream.close()
        try:
            self._process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        cast(IO[bytes], self._process.stdout).close()
        self._errors.close()

    def _start(self, python: str) -> subprocess.Popen[bytes]:
        source = Path(agent.__file__).read_bytes()
        code = f"import sys; exec(sys.stdin.buffer.read({len(source)}))"
        remote = f"exec {_quote_path(python)} -u -c {shlex.quote(code)}"
        command = shlex.split(os.environ.get(SSH_VARIABLE) or "ssh")
        try:
            process = subprocess.Popen(
                [*command, *_OPTIONS, *self._address.arguments, remote],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
            )
        except OSError as error:
            self._errors.close()
            raise BenchmarkError(
                f"--device ssh:{self._address}: can't start {command[0]} ({error.strerror}); "
                "install an OpenSSH client (Debian: apt-get install openssh-client)"
            ) from None
        stream = cast(IO[bytes], process.stdin)
        with contextlib.suppress(BrokenPipeError):  # exit code and error output will say why
            stream.write(source)
            stream.flush()
        return process

    def _greeting(self, python: str) -> dict[str, Any]:
        stream = cast(IO[bytes], self._process.stdout)
        wanted = agent.GREETING.encode()
        while line := stream.readline():
            if line.strip() == wanted:  # a login shell may print before it
                greeting: dict[str, Any] = json.loads(stream.readline())
                return greeting
        reason = _explain(self._process.wait(), self._error_text(), self._address, python)
        raise BenchmarkError(f"--device ssh:{self._address}: {reason}")

    def _check(self, greeting: dict[str, Any], python: str) -> None:
        where = f"--device ssh:{self._address}"
        if "error" in greeting:
            raise BenchmarkError(f"{where}: {greeting['error']} there")
        version = tuple(greeting["python"])
        text = ".".join(map(str, version))
        if version[:2] < _OLDEST_PYTHON:
            oldest = ".".join(map(str, _OLDEST_PYTHON))
            raise BenchmarkError(
                f"{where}: {python} is Python {text} there, {oldest} or newer is needed; name "
                "another with --device-python"
            )
        if greeting["missing"]:
            packages = " ".join(_PACKAGES[name] for name in greeting["missing"])
            raise BenchmarkError(
                f"{where}: {python} ({text}) has no {', '.join(greeting['missing'])} there; run "
                f"'python3 -m venv ~/edge && ~/edge/bin/pip install {packages}' on the device and "
                "add --device-python '~/edge/bin/python'"
            )

    def _last_words(self) -> str:
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "the agent there ended"
        return _last_line(self._error_text()) or f"ssh ended with exit code {code}"

    def _error_text(self) -> str:
        self._errors.seek(0)
        return self._errors.read().decode("utf-8", "replace")


def _quote_path(path: str) -> str:
    """Quote for the device's shell, but let it replace a leading ~."""
    if path.startswith("~/"):
        return "~/" + shlex.quote(path[2:])
    return shlex.quote(path)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _explain(code: int, errors: str, address: Address, python: str) -> str:
    """Say in one line why no agent runs on the device, and what to do.

    Args:
        code: exit code of ssh: 255 for its own failures, else that of the command there.
        errors: what ssh and the command wrote.
        address: of the device.
        python: the Python that was to run there.
    """
    if code == 127:
        return (
            f"there is no '{python}' on the device; install Python 3.10 or newer there, or name "
            "it with --device-python"
        )
    if code == 126:
        return f"'{python}' can't be run on the device; name another with --device-python"
    for words, text in _CAUSES:
        if words in errors:
            return text(address)
    if code != 255:
        reason = _last_line(errors) or "it wrote nothing"
        return (
            f"'{python}' ended at once on the device with exit code {code} ({reason}); try "
            f"{_by_hand(address)} and '{python} --version' there"
        )
    return f"no connection: {_last_line(errors) or 'ssh does not say why'}"


def _by_hand(address: Address) -> str:
    return "'" + " ".join(["ssh", *address.arguments]) + "'"


# What OpenSSH writes, and what to do about it; the first that fits counts.
_CAUSES: tuple[tuple[str, Callable[[Address], str]], ...] = (
    (
        "Could not resolve hostname",
        lambda address: (
            f"no host of the name {address.destination.rpartition('@')[2]}; check the name, or "
            "give the device's IP address"
        ),
    ),
    (
        "Connection refused",
        lambda address: (
            f"the device refuses connections on port {address.port or 'of ssh'}; start an ssh "
            "server there, or name its port: ssh:USER@HOST:PORT"
        ),
    ),
    (
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        lambda address: (
            "the device's host key is another than before; if you know why (a new system on it), "
            f"run 'ssh-keygen -R' for it and connect once with {_by_hand(address)}"
        ),
    ),
    (
        "Host key verification failed",
        lambda address: (
            f"the device's host key is not known; connect once with {_by_hand(address)} and "
            "compare the key"
        ),
    ),
    (
        "Permission denied",
        lambda address: (
            "login refused: ssh must log in with a key and without a question; run "
            f"'ssh-copy-id {' '.join(address.arguments)}' once, and check the user's name"
        ),
    ),
    (
        "Too many authentication failures",
        lambda address: (
            "login refused after too many keys; name the right one for this host with "
            "IdentityFile and IdentitiesOnly in ~/.ssh/config"
        ),
    ),
    (
        "timed out",
        lambda address: "no answer; is the device on, and in the same network?",
    ),
    ("No route to host", lambda address: "no way to the device; is it on, and in the network?"),
    (
        "Network is unreachable",
        lambda address: "no network leads to the device; check your own connection",
    ),
)
