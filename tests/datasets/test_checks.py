from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from edge_retina.datasets import load_dataset
from edge_retina.datasets.checks import find_broken_images
from edge_retina.errors import DatasetError

Write = Callable[..., Path]


def test_broken_images_are_told_in_order_and_once(tmp_path: Path, coco_json: Write):
    coco_json(tmp_path, [(f"{name}.jpg", []) for name in "abcd"])
    examples = load_dataset(tmp_path).split("train")
    looked_at = []

    def decode(path: Path) -> np.ndarray:
        looked_at.append(path)
        if path.stem in "bd":
            raise DatasetError(f"{path.name}: broken")
        return cv2.imread(str(path))

    images = tmp_path / "images"
    assert list(find_broken_images((*examples, *examples), decode).items()) == [
        (images / "b.jpg", "b.jpg: broken"),
        (images / "d.jpg", "d.jpg: broken"),
    ]
    assert len(looked_at) == 4
    assert find_broken_images((), decode) == {}


def test_a_picture_of_another_size_than_its_header_is_broken(tmp_path: Path, coco_json: Write):
    coco_json(tmp_path, [("a.jpg", [])])
    found = find_broken_images(
        load_dataset(tmp_path).split("train"), lambda path: np.zeros((7, 9, 3), np.uint8)
    )
    path = tmp_path / "images" / "a.jpg"
    assert found == {path: f"{path}: decodes to (7, 9), its header says (40, 60)"}
