"""A worker doesn't outlive the program that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from edge_retina.benchmark.noise_image import write_noise_image

_MEASURE = """
import sys
from pathlib import Path
from edge_retina.benchmark.backends import KERAS
from edge_retina.benchmark.candidate import Candidate
from edge_retina.benchmark.local import LocalRunner
from edge_retina.benchmark.task import WorkerTask

task = WorkerTask(
    factory="factories:SleepyPredictor",
    model="m",
    options={"inference_ms": 60_000.0},
    environment={},
    images=(sys.argv[1],),
    runs=100,
    warmup=0,
    threads=1,
)
candidate = Candidate(Path("m"), file=Path("m"), family="m", backend=KERAS, threads=1)
LocalRunner().measure(candidate, task)
"""
TIMEOUT_S = 60


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def is_measuring(pid: int) -> bool:
    """Whether a worker has opened its model, which it does when it has imported everything."""
    return b"benchmark.worker" in Path(f"/proc/{pid}/cmdline").read_bytes() and (
        "cv2" in Path(f"/proc/{pid}/maps").read_text()
    )


def wait_until(condition) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_worker_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    here = Path(__file__).parent
    paths = os.pathsep.join([str(here), str(here.parents[1])])
    image = write_noise_image(tmp_path / "noise.png", seed=0)
    with subprocess.Popen(
        [sys.executable, "-c", _MEASURE, str(image)], env={**os.environ, "PYTHONPATH": paths}
    ) as parent:
        wait_until(lambda: children(parent.pid))
        (worker,) = children(parent.pid)
        wait_until(lambda: is_measuring(worker))
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    started = time.monotonic()
    wait_until(lambda: not is_running(worker))
    assert time.monotonic() - started < 10, "it ended by itself, a minute later"
