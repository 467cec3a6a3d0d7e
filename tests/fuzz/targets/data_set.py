"""Directories that the data-set targets read."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from edge_retina.datasets import load_dataset
from edge_retina.doctor.data.examine import examine
from edge_retina.errors import EdgeRetinaError

IMAGE_HW = (40, 60)
_EXAMINED = 10  # one data set of so many, chosen by its content: doctor takes ten times as long


@functools.cache
def picture(suffix: str = ".jpg") -> bytes:
    """Return an encoded picture of `IMAGE_HW`."""
    return bytes(cv2.imencode(suffix, np.full((*IMAGE_HW, 3), 128, np.uint8))[1])


def check_data_set(directory: Path, files: Mapping[str, bytes], *, pictures: bool = True) -> None:
    """Read a data set of these files strictly, leniently and as doctor does.

    What is read must hold: boxes inside their pictures, classes that have a label, and no picture
    from outside.
    """
    root = directory / "data"
    images = {f"images/{name}.jpg": picture() for name in "ab"} if pictures else {}
    for name, data in {**images, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    refusals = []
    for skip_invalid in (False, True):
        try:
            dataset = load_dataset(root, skip_invalid=skip_invalid)
        except EdgeRetinaError as error:
            refusals.append(error)
            continue
        for example in (item for split in dataset.splits.values() for item in split):
            low, high = example.boxes_px[:, :2], example.boxes_px[:, 2:]
            assert np.isfinite(example.boxes_px).all()
            assert (low >= 0).all()
            assert (high > low).all()
            assert (high <= example.image_hw).all()
            assert set(example.classes) <= set(range(len(dataset.labels)))
            assert example.path.resolve().is_relative_to(root.resolve())
    if zlib.crc32(b"".join(files.values())) % _EXAMINED == 0:
        try:
            examine(root)
        except EdgeRetinaError as error:
            refusals.append(error)
    if refusals:
        raise max(refusals, key=lambda error: len(str(error)))
