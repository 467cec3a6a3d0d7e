"""The same seed on the same machine gives the same bytes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edge_retina.files import sha256_file

ROOT = Path(__file__).parents[2]
HASH_SEEDS = ("0", "1", "4242")

_SPLIT = """
import sys
from edge_retina.datasets import load_dataset

data = load_dataset(sys.argv[1], seed=3)
for name, examples in data.splits.items():
    print(name, [example.image_id for example in examples])
print(data.labels)
"""


def python(arguments: list[str], *, hash_seed: str) -> str:
    """Run Python with a seed of its hashes; return what it wrote."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_splits_and_classes_do_not_depend_on_the_hashes_of_python(tmp_path: Path) -> None:
    """YOLO files without a list of classes or splits, where both are made up from what is found."""
    import cv2
    import numpy as np

    lines = ["filename,width,height,class,xmin,ymin,xmax,ymax"]
    for number in range(40):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.zeros((32, 32, 3), np.uint8))
        lines.append(f"{number}.png,32,32,class{number * 7 % 11},1,1,{number % 20 + 5},20")
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    texts = {python(["-c", _SPLIT, str(tmp_path)], hash_seed=seed) for seed in HASH_SEEDS}
    (text,) = texts
    assert text.startswith("train [")
    assert "\nval [" in text
    assert "\ntest [" in text


@pytest.mark.tf
@pytest.mark.slow
def test_a_training_gives_the_same_weights(kill_table: Any, data: Path, tmp_path: Path) -> None:
    """In two processes with other hashes and other directories."""
    settings = [*kill_table.SETTINGS, f'data.path="{data}"', "train.steps=12"]
    (tmp_path / "config.toml").write_text("")
    found = []
    for number, seed in enumerate(HASH_SEEDS[:2]):
        out = tmp_path / f"run{number}"
        options = [part for item in settings for part in ("--set", item)]
        config = str(tmp_path / "config.toml")
        python(
            ["-m", "tests.faults.small_run", "train", config, "--out", str(out), *options],
            hash_seed=seed,
        )
        found.append({name: sha256_file(out / name) for name in ("float/best.h5", "anchors.json")})
    assert found[0] == found[1]


@pytest.mark.tf
def test_a_conversion_gives_the_same_file(
    int8_detector: SimpleNamespace, make_int8_detector: Callable[..., SimpleNamespace]
) -> None:
    """Network, calibration, deploy graph, quantisation and conversion, all made again."""
    assert make_int8_detector().content == int8_detector.content
