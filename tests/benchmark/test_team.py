"""Models that take turns in processes of their own, with factories whose behaviour is known."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_retina.benchmark.backends import KERAS
from edge_retina.benchmark.candidate import Candidate
from edge_retina.benchmark.local import LocalRunner
from edge_retina.benchmark.task import TeamTask, WorkerResult, WorkerTask
from edge_retina.errors import BenchmarkError

NAMES = "ab"


@pytest.fixture(autouse=True)
def _factories_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=":")


@pytest.fixture
def images(tmp_path: Path) -> list[str]:
    """Pictures of the grey levels 0, 50 and 100."""
    paths = [tmp_path / f"{level}.png" for level in (0, 50, 100)]
    for path in paths:
        cv2.imwrite(str(path), np.full((8, 8, 3), int(path.stem), np.uint8))
    return [str(path) for path in paths]


def member(
    images: list[str],
    factory: str = "factories:SleepyPredictor",
    *,
    runs: int = 2,
    min_seconds: float = 0.0,
    **options: Any,
) -> WorkerTask:
    return WorkerTask(
        factory=factory,
        model="m",
        options=options,
        environment={},
        images=tuple(images),
        runs=runs,
        warmup=0,
        threads=1,
        min_seconds=min_seconds,
    )


def measure(*members: WorkerTask, runner: LocalRunner | None = None) -> list[WorkerResult]:
    candidates = [
        Candidate(Path(name), file=Path(name), family="m", backend=KERAS, threads=1)
        for name in NAMES[: len(members)]
    ]
    return (runner or LocalRunner()).measure_together(candidates, TeamTask(members))


def test_a_team_is_the_same_after_its_journey(images: list[str]) -> None:
    team = TeamTask((member(images, inference_ms=1.0), member(images, runs=9, min_seconds=2.5)))
    assert TeamTask.from_json(team.to_json()) == team


def test_members_take_turns_there_and_back_on_the_same_picture(
    images: list[str], tmp_path: Path
) -> None:
    """120 ms a detection: more than a turn, so that each turn is one untimed and one timed."""
    notes = tmp_path / "notes"
    members = [
        member(
            images,
            "factories:NotingPredictor",
            runs=4,
            inference_ms=120.0,
            name=name,
            notes=str(notes),
        )
        for name in NAMES
    ]
    first, second = measure(*members)
    made = notes.read_text().split()
    assert made[:4] == ["a0", "a0", "b0", "b0"]  # the first detection, and the one of the warm-up
    assert made[4::2] == made[5::2] == ["a0", "b0", "b50", "a50", "a100", "b100", "b0", "a0"]
    assert first.blocks == second.blocks == (1, 1, 1, 1)
    assert len(first.inference_ms) == len(first.lost_ms or first.inference_ms) == 4
    assert min(first.inference_ms) >= 120


def test_a_faster_member_has_more_detections_in_as_many_turns(images: list[str]) -> None:
    fast, slow = measure(
        *(member(images, runs=1, min_seconds=0.5, inference_ms=ms) for ms in (4.0, 49.0))
    )
    for result in (fast, slow):
        assert sum(result.own_ms) >= 500
        assert sum(result.blocks) == len(result.own_ms)
    assert len(fast.own_ms) > 3 * len(slow.own_ms)
    assert abs(len(fast.blocks) - len(slow.blocks)) <= 2


def test_no_more_runs_than_asked_for_without_a_least_time(images: list[str]) -> None:
    """Of 30 ms each, seven make three turns: of three, three and one."""
    results = measure(*(member(images, runs=7, inference_ms=30.0) for _ in NAMES))
    assert [sum(result.blocks) for result in results] == [7, 7]
    assert [len(result.blocks) for result in results] == [3, 3]


@pytest.mark.parametrize(
    "factory, message",
    [
        ("factories:failing", "RuntimeError: no such accelerator"),
        ("factories:crashing", "worker was killed by SIGABRT"),
    ],
)
def test_a_member_that_fails_is_named(images: list[str], factory: str, message: str) -> None:
    with pytest.raises(BenchmarkError) as caught:
        measure(member(images, inference_ms=0.1), member(images, factory))
    assert str(caught.value).startswith(f"b, keras, 1 thread: {message}")


def test_a_team_that_stalls_is_stopped_with_its_members(images: list[str], tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    stalling = member(images, "factories:stalling_with_note", notes=str(notes))
    team = TeamTask((stalling, member(images, inference_ms=0.1)))
    leader = subprocess.Popen(
        [sys.executable, "-m", "edge_retina.benchmark.worker"], stdin=subprocess.PIPE, text=True
    )
    assert leader.stdin is not None
    leader.stdin.write(team.to_json() + "\n")
    leader.stdin.flush()
    _wait_until(lambda: notes.exists() and notes.read_text().endswith(" "))
    leader.send_signal(signal.SIGKILL)
    leader.wait()
    leader.stdin.close()
    number = int(notes.read_text())
    _wait_until(lambda: not _is_running(number))


def test_a_late_team_names_its_members(images: list[str], tmp_path: Path) -> None:
    stalling = member(images, "factories:stalling")
    with pytest.raises(BenchmarkError, match=r"a, keras, .* and b, keras, .*: not done after 1 s"):
        measure(stalling, stalling, runner=LocalRunner(timeout_s=0.5))


def _wait_until(happened: Any) -> None:
    for _ in range(600):
        if happened():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen within 30 s")


def _is_running(number: int) -> bool:
    """Whether a process is there and not only waits to be collected."""
    try:
        os.kill(number, 0)
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
