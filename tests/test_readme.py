"""The README's example for a device runs as it stands; tests/test_docs.py has the other checks."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_device_example_finds_what_the_model_says(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    shutil.copy(ROOT / "tests" / "golden" / "tiny_uint8.tflite", tmp_path / "cells_int8.tflite")
    (tmp_path / "labels.txt").write_text("disc\nsquare\n")
    cv2.imwrite(str(tmp_path / "photo.jpg"), np.full((40, 60, 3), 255, np.uint8))
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=60
    )
    assert result.returncode == 0, result.stderr
    first, second = result.stdout.splitlines()
    # tests/golden/make_tiny_detector.py: scores 0.25, and 0.5 + 0.25 * mean = 0.75 for white
    assert first == "disc 0.25 ymin xmin ymax xmax in 0..1: [0. 0. 1. 1.]"
    assert second == "square 0.75 ymin xmin ymax xmax in 0..1: [0.1 0.2 0.5 0.6]"


def test_links_are_to_files_of_the_repository() -> None:
    assert not [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" in link]
