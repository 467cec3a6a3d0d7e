"""One connection to an `agent` on a device: started through ssh, spoken to over its pipes."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import IO, Any, cast

from edge_retina.benchmark import agent
from edge_retina.benchmark.ssh_errors import Address, explain, last_line
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
            self._process.terminate()

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
        reason = explain(self._process.wait(), self._error_text(), self._address, python)
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
        return last_line(self._error_text()) or f"ssh ended with exit code {code}"

    def _error_text(self) -> str:
        self._errors.seek(0)
        return self._errors.read().decode("utf-8", "replace")


def _quote_path(path: str) -> str:
    """Quote for the device's shell, but let it replace a leading ~."""
    if path.startswith("~/"):
        return "~/" + shlex.quote(path[2:])
    return shlex.quote(path)
