"""benchmarks/label_noise.py on objects whose labels differ by a known amount."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_retina.datasets import Example

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def label_noise(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("label_noise")


def example(path: Path, image: np.ndarray, box: tuple[float, ...], label: int) -> Example:
    cv2.imwrite(str(path), image)
    none = np.zeros(1, bool)
    boxes = np.array([box], np.float32)
    return Example(path.name, path, image.shape[:2], boxes, np.array([label], np.int32), none)


def test_two_labels_of_what_stood_still(label_noise: Any, tmp_path: Path):
    still = np.random.default_rng(0).integers(0, 256, (64, 128, 3)).astype(np.uint8)
    moved = np.roll(still, 3, axis=1)
    examples = [
        example(tmp_path / "a.png", still, (10, 20, 30, 40), 0),
        example(tmp_path / "b.png", still, (10, 20, 30, 44), 0),  # four pixels wider: IoU 20/24
        example(tmp_path / "c.png", still, (10, 20, 30, 44), 1),  # of another class
        example(tmp_path / "d.png", moved, (10, 20, 30, 40), 0),
    ]
    pairs = label_noise._pairs(examples, side=64)
    assert len(pairs["differ"]) == 3  # a and b, and each of them with d
    found = label_noise._figures(pairs, 0.05)
    assert found["pairs"] == 1
    assert found["mean_iou"] == pytest.approx(20 / 24)
    assert found["label_mAP"] == pytest.approx(0.7)  # .50, .55 ... .80
    # The mean of many labels is 2.83 pixels off, not 4: IoU 20 / 22.83 = .876
    assert found["perfect_mAP"] == pytest.approx(0.8)


def test_sides_count_at_the_input_size(label_noise: Any, tmp_path: Path):
    image = np.random.default_rng(0).integers(0, 256, (64, 128, 3)).astype(np.uint8)
    boxes = ((8, 16, 40, 80), (8, 16, 40, 80))
    examples = [example(tmp_path / f"{i}.png", image, box, 0) for i, box in enumerate(boxes)]
    pairs = label_noise._pairs(examples, side=256)
    assert pairs["first"].tolist() == [[32, 32, 160, 160]]
