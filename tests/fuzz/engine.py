"""Runs the cases of a target in copies of this process, and watches them.

A copy runs cases one after the other until one breaks a rule. What ends the copy, or doesn't end
itself, is a finding of the case that it was at. This process must have a single thread, and the
target's modules are imported before the first copy is made, so that a copy takes milliseconds.
"""

from __future__ import annotations

import json
import logging
import mmap
import os
import resource
import shutil
import signal
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

from edge_retina.errors import EdgeRetinaError
from tests.fuzz.limits import MemoryGuard, WriteGuard
from tests.fuzz.target import Target

MOST_CPU_SECONDS = 10  # of a case
_MOST_SECONDS = 600  # on a clock; the machine may be busy with other things
_BATCH = 500  # cases of a copy: memory that adds up is no finding of the last one
_LONGEST_MESSAGE = 4000  # characters
_POLL_S = 0.02


@dataclass(frozen=True)
class Finding:
    """A case that broke a rule.

    Attributes:
        case: its number.
        what: the rule, in words.
    """

    case: int
    what: str


class Engine:
    """Runs cases in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self._cases, self._answer = directory / "cases", directory / "answer.json"
        self._log = directory / "log"
        self._progress = mmap.mmap(-1, 8)  # shared with the copies

    def run(self, target: Target, *, seed: int, first: int, count: int) -> list[Finding]:
        """Run the cases `first` to `first + count - 1`, and return all that break a rule."""
        found = []
        end = first + count
        while first < end:
            last = min(first + _BATCH, end)
            finding = self._batch(target, seed, range(first, last))
            if finding is not None:
                found.append(finding)
            first = last if finding is None else finding.case + 1
        return found

    def _batch(self, target: Target, seed: int, numbers: range) -> Finding | None:
        self._answer.unlink(missing_ok=True)
        self._progress[:] = numbers.start.to_bytes(8, "little")
        copy = os.fork()
        if copy == 0:
            self._run_copy(target, seed, numbers)
        status, why = self._wait(copy)
        case = int.from_bytes(self._progress[:], "little")
        if status is None:
            return Finding(case, why)
        code = os.waitstatus_to_exitcode(status)
        if code < 0:
            return Finding(case, f"the process ended by {signal.Signals(-code).name}")
        if not self._answer.exists():
            return Finding(case, f"the process ended with exit code {code}")
        what = json.loads(self._answer.read_text(encoding="utf-8"))
        return Finding(case, what) if what else None

    def _wait(self, copy: int) -> tuple[int | None, str]:
        """Return the status of a copy; None, and why, if it was ended because a case took long."""
        case, cpu, clock = b"", 0.0, time.monotonic()
        while True:
            ended, status = os.waitpid(copy, os.WNOHANG)
            if ended:
                return status, ""
            if self._progress[:] != case:
                case, cpu, clock = self._progress[:], _cpu_seconds(copy), time.monotonic()
            else:
                why = ""
                if _cpu_seconds(copy) - cpu > MOST_CPU_SECONDS:
                    why = f"no end after {MOST_CPU_SECONDS} s"
                elif time.monotonic() - clock > _MOST_SECONDS:
                    used = _cpu_seconds(copy) - cpu
                    why = f"no end after {_MOST_SECONDS} s on a clock ({used:.0f} of the processor)"
                if why:
                    os.kill(copy, signal.SIGKILL)
                    os.waitpid(copy, 0)
                    return None, why
            time.sleep(_POLL_S)

    def _run_copy(self, target: Target, seed: int, numbers: range) -> None:
        """Run cases until one is a finding, and end this process."""
        code = 1
        try:
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            logging.disable(logging.CRITICAL)
            log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(log, 1)
            os.dup2(log, 2)  # libraries write what they think of damaged files
            found = ""
            if target.tensorflow:
                import edge_retina.model.keras  # noqa: F401 - what it takes is not a case's
            writes, memory = WriteGuard(self._cases), MemoryGuard()
            for number in numbers:
                self._progress[:] = number.to_bytes(8, "little")
                shutil.rmtree(self._cases, ignore_errors=True)
                self._cases.mkdir()
                found = run_case(target, seed, number, self._cases)
                found = found or memory.found() or writes.found
                if found:
                    break
            self._answer.write_text(json.dumps(found), encoding="utf-8")
            code = 0
        finally:
            os._exit(code)


def run_case(target: Target, seed: int, number: int, directory: Path) -> str:
    """Run a case in this process, and return what it broke; "" for nothing."""
    name, content = target.case(seed, number)
    return run_content(target, content, name, directory)


def run_content(target: Target, content: bytes, name: str, directory: Path) -> str:
    """Let a target check a file's content, and return what that broke; "" for nothing."""
    began = time.process_time()
    try:
        target.check(content, name, directory)
    except EdgeRetinaError as error:
        message = str(error)
        if len(message) > _LONGEST_MESSAGE:
            return f"a message of {len(message)} characters: {message[:200]!r}"
        try:
            message.encode("utf-8")
        except UnicodeEncodeError:
            return f"a message that can't be printed: {message[:200]!r}"
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in frames if "edge_retina" in frame.filename] or list(frames)
        place = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}"
        return f"{type(error).__name__} at {place}: {str(error)[:200]!a}"
    seconds = time.process_time() - began
    return f"{seconds:.0f} s of processor time" if seconds > MOST_CPU_SECONDS else ""


def _cpu_seconds(process: int) -> float:
    stat = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")
