from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np


def test_the_example_prints_what_the_golden_model_finds(repository: Path, tmp_path: Path) -> None:
    picture = tmp_path / "white.png"
    cv2.imwrite(str(picture), np.full((100, 200, 3), 255, np.uint8))
    model = repository / "tests" / "golden" / "tiny_uint8.tflite"
    script = repository / "examples" / "python" / "detect.py"
    done = subprocess.run(
        [sys.executable, str(script), str(model), str(picture)],
        capture_output=True,
        text=True,
        check=True,
        cwd=repository,
    )
    # White is m = 127 / 128, so its score is 0.5 + 0.25 m; the other row scores 0.25
    assert done.stdout == "square 0.75 ymin xmin ymax xmax in pixels: [ 10.  40.  50. 120.]\n"
