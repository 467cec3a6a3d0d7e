"""How much memory a further picture of a data set takes, by the kernel's own count."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_retina.datasets import load_dataset
from edge_retina.datasets.schema import Example

FEW, MANY = 2000, 12_000
OBJECTS = 10
SIDE = 64
# A third more than was measured. When each object was one of Python's it took 7,300 and 13,900.
MOST_BYTES = {"coco": 1500, "csv": 2300}
LOAD = """
import sys
from edge_retina.datasets import load_dataset
dataset = load_dataset(sys.argv[1])
(split,) = dataset.splits.values()
assert sum(len(example.classes) for example in split) == 10 * int(sys.argv[2])
print(open("/proc/self/status").read())
"""


def link_pictures(directory: Path, count: int) -> list[str]:
    """Write a picture under many names; return them."""
    directory.mkdir(parents=True)
    first = directory / "000000.jpg"
    cv2.imwrite(str(first), np.full((SIDE, SIDE, 3), 127, np.uint8))
    names = [f"{number:06d}.jpg" for number in range(count)]
    for name in names[1:]:
        os.link(first, directory / name)
    return names


def write_coco(root: Path, count: int) -> None:
    names = link_pictures(root / "images" / "train", count)
    annotations = [
        {
            "id": number * OBJECTS + place,
            "image_id": number,
            "category_id": 1,
            "bbox": [place, place, 20.5, 30.25],
            "area": 620.125,
            "iscrowd": 0,
        }
        for number in range(count)
        for place in range(OBJECTS)
    ]
    images = [
        {"id": number, "file_name": name, "height": SIDE, "width": SIDE}
        for number, name in enumerate(names)
    ]
    tree = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "disc"}],
    }
    (root / "annotations").mkdir()
    (root / "annotations" / "instances_train.json").write_text(json.dumps(tree))


def write_csv(root: Path, count: int) -> None:
    lines = [
        f"{name},{SIDE},{SIDE},disc,{place},{place},{place + 20},{place + 30}"
        for name in link_pictures(root / "images", count)
        for place in range(OBJECTS)
    ]
    header = "filename,width,height,class,xmin,ymin,xmax,ymax"
    (root / "train.csv").write_text("\n".join([header, *lines]) + "\n")


WRITERS: dict[str, Callable[[Path, int], None]] = {"coco": write_coco, "csv": write_csv}


def peak_bytes(root: Path, count: int) -> int:
    """Return the highest memory of a process that loads a data set of so many pictures."""
    command = [sys.executable, "-c", LOAD, str(root), str(count)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    (kilobytes,) = re.findall(r"VmHWM:\s*(\d+) kB", done.stdout)
    return int(kilobytes) * 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the count is Linux's")
@pytest.mark.parametrize("layout", MOST_BYTES)
def test_a_further_picture_takes_few_bytes(layout: str, tmp_path: Path):
    peaks = {}
    for count in (FEW, MANY):
        root = tmp_path / str(count)
        WRITERS[layout](root, count)
        peaks[count] = peak_bytes(root, count)
    assert (peaks[MANY] - peaks[FEW]) / (MANY - FEW) < MOST_BYTES[layout]


def test_an_example_is_the_same_each_time_and_can_not_be_changed(tmp_path: Path):
    write_coco(tmp_path / "data", 3)
    split = load_dataset(tmp_path / "data").split("train")
    assert isinstance(split[1], Example)
    assert split[1] == split[-2] == list(split)[1] == split[1:][0]
    assert split[0] != split[1]
    with pytest.raises(ValueError, match="read-only"):
        split[1].boxes_px[0] = 0
