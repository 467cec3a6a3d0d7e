"""The Python examples, run as a user runs them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest


@pytest.fixture
def model(repository: Path) -> Path:
    return repository / "tests" / "golden" / "tiny_uint8.tflite"


def run_example(repository: Path, name: str, *arguments: object) -> subprocess.CompletedProcess:
    script = repository / "examples" / "python" / name
    return subprocess.run(
        [sys.executable, str(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=repository,
    )


def test_the_example_prints_what_the_golden_model_finds(
    repository: Path, tmp_path: Path, model: Path
) -> None:
    picture = tmp_path / "white.png"
    cv2.imwrite(str(picture), np.full((100, 200, 3), 255, np.uint8))
    done = run_example(repository, "detect.py", model, picture)
    # White is m = 127 / 128, so its score is 0.5 + 0.25 m; the other row scores 0.25
    assert done.stdout == "square 0.75 ymin xmin ymax xmax in pixels: [ 10.  40.  50. 120.]\n"
    assert done.returncode == 0


def test_the_camera_loop_reads_every_frame_of_a_video(
    repository: Path, tmp_path: Path, model: Path
) -> None:
    video = tmp_path / "white.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*"MJPG"), 10, (200, 100))
    for _ in range(7):
        writer.write(np.full((100, 200, 3), 255, np.uint8))
    writer.release()
    frames = tmp_path / "frames"
    frames.mkdir()
    done = run_example(repository, "camera.py", model, "--source", video, "--save", frames)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert all(re.fullmatch(r"[\d.]+ frames/s, [\d.]+ ms: 1 square", line) for line in lines), lines
    assert lines
    assert [path.name for path in sorted(frames.iterdir())] == [f"{n:06}.jpg" for n in range(1, 8)]
    drawn = cv2.imread(str(frames / "000007.jpg"))
    assert drawn[10:50, 38:42].min() < 200 < 250 < drawn[90:, 190:].min(), "only the box is drawn"


def test_a_camera_that_is_not_there_is_said_to_be_missing(repository: Path, model: Path) -> None:
    done = run_example(repository, "camera.py", model, "--source", "nothing.mp4")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "nothing.mp4: no camera and no video can be opened there"
    )
