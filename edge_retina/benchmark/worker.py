"""Use one model in a process of its own: `python -m edge_retina.benchmark.worker`.

Reads a task as a line of JSON from standard input and writes a `WorkerResult` or packed detections
as a line of JSON to standard output; when it fails, `{"error": "..."}` and exit code 1. A process
of its own gives every model the same fresh start: no caches, thread pools or memory of the model
before.

A `TeamTask` is for several models that take turns. Then this process starts one of its kind for
each and tells it when to run, see `team`. Such a member gets its task with the kind "member" and
then one line for each block.
"""

from __future__ import annotations

import dataclasses
import json
import os
import queue
import sys
import threading
from typing import Any, TextIO

from edge_retina.benchmark.detection_answer import pack_detections
from edge_retina.benchmark.environment import read_environment
from edge_retina.benchmark.parent_watch import end_with_parent
from edge_retina.benchmark.session import Session, open_predictor
from edge_retina.benchmark.task import DetectionTask, TeamTask, WorkerResult, WorkerTask
from edge_retina.benchmark.team import MEMBER, MemberError, measure_team
from edge_retina.errors import EdgeRetinaError
from edge_retina.runtime.image import load_image
from edge_retina.runtime.safe_opening import crashes_are_contained


def measure(task: WorkerTask) -> WorkerResult:
    """Open the model and time it."""
    session = Session(task)
    session.run(runs=task.runs, min_seconds=task.min_seconds)
    return session.result()


def detect(task: DetectionTask) -> dict[str, Any]:
    """Open the model and find the objects in the images; see `pack_detections`."""
    predictor, _ = open_predictor(task)
    if tuple(predictor.labels) != task.labels:  # it would be work for nothing
        return pack_detections(predictor.labels, [])
    found = [predictor.predict(load_image(path)) for path in task.images]
    return pack_detections(predictor.labels, found)


def serve_member(task: WorkerTask, answer: TextIO) -> WorkerResult:
    """Time the blocks that the team's leader asks for; return all of it when it says so."""
    orders = _lines_or_exit()
    session = Session(task)
    ready: dict[str, Any] = {"typical_ms": session.warmup.typical_ms}
    while True:
        _write(answer, ready)
        order = json.loads(orders.get())
        if not order:
            return session.result()
        ready = {"seconds": session.run_block(**order)}


def _lines_or_exit() -> queue.SimpleQueue[str]:
    """Read the leader's lines in a thread of their own, and end the process when they end.

    A member whose leader is gone must not go on, whatever it is doing.
    """
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        while line := sys.stdin.readline():
            lines.put(line)
        os._exit(1)

    threading.Thread(target=read, daemon=True).start()
    return lines


def _answer(text: str, answer: TextIO) -> dict[str, Any]:
    """Do what a task asks for, or describe this machine."""
    kind = json.loads(text)["kind"]
    if kind == "environment":
        return dataclasses.asdict(read_environment())
    if kind == "detect":
        return detect(DetectionTask.from_json(text))
    if kind == "team":
        return {"members": measure_team(TeamTask.from_json(text))}
    task = WorkerTask.from_json(text)
    return dataclasses.asdict(serve_member(task, answer) if kind == MEMBER else measure(task))


def _write(stream: TextIO, document: dict[str, Any]) -> None:
    stream.write(json.dumps(document) + "\n")
    stream.flush()


def main() -> int:
    """Read the task, do it, write the answer; return the exit code."""
    end_with_parent()
    crashes_are_contained()
    # Libraries print to standard output, also from C++: it becomes standard error for them
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        document = _answer(sys.stdin.readline(), answer)
        code = 0
    except MemberError as error:
        document = {"error": str(error), "member": error.member}
        code = 1
    except Exception as error:  # reported to the parent, whatever it is
        kind = "" if isinstance(error, EdgeRetinaError) else f"{type(error).__name__}: "
        document = {"error": f"{kind}{error}"}
        code = 1
    with answer:
        _write(answer, document)
    return code


if __name__ == "__main__":
    sys.exit(main())
