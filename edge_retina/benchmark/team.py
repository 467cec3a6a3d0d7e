"""Models that are compared take turns within a round: each lives in a process, one runs at a time.

A busy machine changes from one second to the next. Two models that are measured for a second each,
one after the other, meet different machines; in short turns they meet the same one.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, Any, cast

import edge_retina
from edge_retina.benchmark.task import TeamTask, WorkerTask, failure_text, parse_document
from edge_retina.errors import BenchmarkError

MEMBER = "member"  # the kind of a task whose worker waits for its turns

_TURN_S = 0.1
_PACKAGES = str(Path(edge_retina.__file__).parent.parent)  # also within a zip file


class MemberError(BenchmarkError):
    """A member of a team failed.

    Attributes:
        member: its place in the team.
    """

    def __init__(self, member: int, reason: str) -> None:
        """Keep which one it was."""
        super().__init__(reason)
        self.member = member


def measure_team(team: TeamTask) -> list[dict[str, Any]]:
    """Return what each member measured, as `WorkerResult`'s JSON.

    Raises:
        MemberError: the first that failed.
    """
    with contextlib.ExitStack() as stack:
        members = []
        for place, task in enumerate(team.members):  # none is opened while another one works
            members.append(_Member(place, task))
            stack.callback(members[-1].stop)
            members[-1].get_ready()
        take_turns(members)
        return [member.finish() for member in members]


def take_turns(members: list[_Member]) -> None:
    """Let the members run in turn, A B B A A B ..., until each has measured enough.

    There and back again, so that what changes steadily meets all of them alike.
    """
    turns = min(member.most_turns for member in members)
    for member in members:
        member.plan(turns)
    image = 0
    while not all(member.is_done for member in members):
        for member in members:
            if not member.is_done:
                member.take_turn(image)
        members = members[::-1]
        image += 1


class _Member:
    """A process with one model."""

    def __init__(self, place: int, task: WorkerTask) -> None:
        self._place = place
        self._task = task
        self._errors: IO[str] = tempfile.TemporaryFile("w+")  # noqa: SIM115  closed by stop()
        environment = {**os.environ, **task.environment}
        path = os.pathsep.join(filter(None, (_PACKAGES, environment.get("PYTHONPATH"))))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "edge_retina.benchmark.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Not this process's own: if it is killed, nobody must wait for the member's end
            stderr=self._errors,
            text=True,
            env={**environment, "PYTHONPATH": path},
        )
        self._typical_s = 0.0
        self._turn_runs = 0
        self._runs = 0
        self._seconds = 0.0

    def get_ready(self) -> None:
        """Open the model and warm it up."""
        self._typical_s = self._ask(self._task.to_json(MEMBER))["typical_ms"] / 1000

    @property
    def most_turns(self) -> int:
        """How many turns its work can be divided into."""
        return min(self._wanted, math.ceil(self._wanted * self._typical_s / _TURN_S))

    @property
    def is_done(self) -> bool:
        """Whether it has measured enough."""
        return self._runs >= self._task.runs and self._seconds >= self._task.min_seconds

    def plan(self, turns: int) -> None:
        """Divide the work into turns."""
        self._turn_runs = math.ceil(self._wanted / max(1, turns))

    def take_turn(self, image: int) -> None:
        """Measure one block."""
        runs = self._turn_runs
        if self._seconds >= self._task.min_seconds:  # only the number is missing
            runs = min(runs, self._task.runs - self._runs)
        answer = self._ask(json.dumps({"runs": runs, "image": image}))
        self._runs += runs
        self._seconds += answer["seconds"]

    def finish(self) -> dict[str, Any]:
        """Return the result."""
        return self._ask("{}")

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(BrokenPipeError):  # it is gone already
                cast(IO[str], stream).close()
        self._errors.close()

    @property
    def _wanted(self) -> int:
        """The number of detections that are likely to be needed."""
        in_time = math.ceil(self._task.min_seconds / max(self._typical_s, 1e-6))
        return max(1, self._task.runs, in_time)

    def _ask(self, line: str) -> dict[str, Any]:
        with contextlib.suppress(BrokenPipeError):  # its last words tell more
            stream = cast(IO[str], self._process.stdin)
            stream.write(line + "\n")
            stream.flush()
        text = cast(IO[str], self._process.stdout).readline()
        answer = parse_document(text)
        code = 0 if answer else self._process.wait()
        self._errors.seek(0)
        failure = failure_text(answer, code, self._errors.read())
        if failure:
            raise MemberError(self._place, failure)
        return answer
