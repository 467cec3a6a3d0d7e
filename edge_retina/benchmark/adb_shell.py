"""One Android device through `adb`: commands, files, and what to do when they fail."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from edge_retina.errors import BenchmarkError, DeviceLostError

SHARED_DIRECTORY = "/data/local/tmp"  # the one place where the shell's user may run programs
_EXIT = re.compile(r"\n?exit=(\d+)\s*$")  # old versions of adb don't pass on the exit code
_GONE = ("not found", "no devices", "device offline", "protocol fault", "closed", "unauthorized")


@dataclass(frozen=True)
class Finished:
    """A command that ran to its end on the device.

    Attributes:
        code: its exit code; 128 and more after a signal.
        output: what it wrote, errors included.
    """

    code: int
    output: str


@dataclass(frozen=True)
class AdbDevice:
    """A device that adb reaches.

    Attributes:
        adb: the program.
        serial: of the device.
    """

    adb: str
    serial: str

    def shell(self, command: str, *, timeout_s: float | None = None) -> Finished:
        """Run a command on the device.

        Raises:
            DeviceLostError: the device is gone.
            TimeoutError: the command took too long.
        """
        process = self._adb("shell", f"{command}; echo exit=$?", timeout_s=timeout_s)
        output = process.stdout.replace("\r\n", "\n")
        match = _EXIT.search(output)
        if match is None:
            raise self._lost(process)
        return Finished(int(match.group(1)), output[: match.start()] + process.stderr)

    def push(self, path: Path, target: str) -> None:
        """Copy a file to the device.

        Raises:
            BenchmarkError: no room for it there, or another reason.
            DeviceLostError: the device is gone.
        """
        process = self._adb("push", str(path), target)
        if process.returncode:
            words = _last_line(process.stderr or process.stdout)
            if "No space left" in words:
                raise BenchmarkError(f"{self.name}: no room for {path.name}; free some there")
            if any(cause in words for cause in _GONE):
                raise self._lost(process)
            raise BenchmarkError(f"{self.name}: {path.name} could not be copied: {words}")

    def pull(self, source: str, path: Path) -> bool:
        """Copy a file from the device; return whether there was one.

        Raises:
            DeviceLostError: the device is gone.
        """
        process = self._adb("pull", source, str(path))
        if process.returncode and "does not exist" not in process.stderr + process.stdout:
            raise self._lost(process)
        return process.returncode == 0

    @property
    def name(self) -> str:
        """The device as `--device` names it."""
        return f"adb:{self.serial}"

    def _adb(
        self, *arguments: str, timeout_s: float | None = None
    ) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                [self.adb, "-s", self.serial, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout_s,
            )
        except subprocess.TimeoutExpired:
            raise TimeoutError from None

    def _lost(self, process: subprocess.CompletedProcess[str]) -> DeviceLostError:
        words = _last_line(process.stderr) or f"adb ended with exit code {process.returncode}"
        return DeviceLostError(
            f"{self.name} is gone ({words}); check the cable and that 'adb devices' lists it"
        )


def find_device(serial: str) -> AdbDevice:
    """Return the device with a serial number, or the only one if that is "".

    Raises:
        BenchmarkError: no adb, no such device, more than one, or it doesn't let us in.
    """
    where = f"--device adb:{serial}" if serial else "--device adb"
    adb = shutil.which("adb")
    if adb is None:
        raise BenchmarkError(
            f"{where}: no adb on this machine; install Android's platform tools (Debian: apt-get "
            "install adb) and put it on the PATH"
        )
    process = subprocess.run(
        [adb, "devices"], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if process.returncode:
        raise BenchmarkError(f"{where}: 'adb devices' failed: {_last_line(process.stderr)}")
    states = _states(process.stdout)
    if not states:
        raise BenchmarkError(
            f"{where}: no device; connect one, switch on USB debugging in its developer options, "
            "and check that 'adb devices' lists it"
        )
    if not serial and len(states) > 1:
        raise BenchmarkError(
            f"{where}: {len(states)} devices ({', '.join(states)}); name one, e.g. --device "
            f"adb:{next(iter(states))}"
        )
    chosen = serial or next(iter(states))
    if chosen not in states:
        raise BenchmarkError(f"{where}: no such device; connected: {', '.join(states)}")
    _check_state(where, chosen, states[chosen])
    return AdbDevice(adb, chosen)


def _states(text: str) -> dict[str, str]:
    """Read what `adb devices` lists: state by serial number."""
    _, _, listed = text.partition("List of devices attached")
    rows = [line.split(None, 1) for line in listed.splitlines() if line.strip()]
    return {row[0]: row[1].strip() if len(row) > 1 else "" for row in rows}


def _check_state(where: str, serial: str, state: str) -> None:
    if state == "unauthorized":
        raise BenchmarkError(
            f"{where}: {serial} does not trust this computer yet; unlock it, accept the question "
            "about USB debugging, and run this again"
        )
    if state != "device":
        raise BenchmarkError(
            f"{where}: {serial} is not ready ({state or 'no state told'}); reconnect it and wait "
            "until 'adb devices' says 'device'"
        )


def quote(text: str) -> str:
    """Quote for the device's shell."""
    return shlex.quote(text)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
