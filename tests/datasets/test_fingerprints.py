from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_retina.datasets import Example, annotations_sha256, load_dataset, pictures_sha256
from edge_retina.errors import DatasetError

Write = Callable[..., Path]


@pytest.fixture
def root(tmp_path: Path, coco_json: Write) -> Path:
    """A data set of three pictures in one split."""
    coco_json(tmp_path / "data", [("a.bmp", [(1, [1, 2, 3, 4])]), ("b.bmp", []), ("c.bmp", [])])
    return tmp_path / "data"


def train(root: Path) -> tuple[Example, ...]:
    return load_dataset(root).split("train")


def test_replaced_pixels_change_the_picture_hash_only(root: Path):
    examples = train(root)
    before = annotations_sha256(examples), pictures_sha256(examples)
    path = root / "images" / "b.bmp"
    status = path.stat()
    assert cv2.imwrite(str(path), np.full((40, 60, 3), 7, np.uint8))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # stat sees no change
    assert path.stat().st_size == status.st_size

    examples = train(root)
    assert annotations_sha256(examples) == before[0]
    assert pictures_sha256(examples) != before[1]


def test_the_annotation_hash_sees_difficult_objects(root: Path):
    (example, *_) = train(root)
    flagged = [
        dataclasses.replace(example, crowd=np.array([crowd]), difficult=np.array([difficult]))
        for crowd in (False, True)
        for difficult in (False, True)
    ]
    assert len({annotations_sha256([item]) for item in flagged}) == 4


def test_the_picture_hash_is_of_names_and_contents(root: Path):
    examples = train(root)
    first = pictures_sha256(examples)
    assert pictures_sha256(examples[::-1]) == first
    shutil.copytree(root, root.parent / "elsewhere")
    assert pictures_sha256(train(root.parent / "elsewhere")) == first
    assert pictures_sha256(examples[:2]) != first
    # a and b have the same content: swapping the names of b and another one must show
    (root / "images" / "b.bmp").write_bytes(b"x")
    swapped = pictures_sha256(examples)
    (root / "images" / "b.bmp").write_bytes((root / "images" / "a.bmp").read_bytes())
    (root / "images" / "a.bmp").write_bytes(b"x")
    assert len({first, swapped, pictures_sha256(examples)}) == 3


def test_a_picture_that_is_gone_is_named(root: Path):
    examples = train(root)
    examples[1].path.unlink()
    with pytest.raises(DatasetError, match=r"b\.bmp: can't be read \(No such file or directory\)"):
        pictures_sha256(examples)


def test_no_pictures(root: Path):
    assert pictures_sha256(()) == pictures_sha256([]) != pictures_sha256(train(root))
