"""Time and memory to read and check a data set of 100,000 pictures with 1,000,000 boxes.

    python benchmarks/read_annotations.py --json benchmarks/results/read_annotations.json

Asked: under 60 s and 2 GB on 2 cores. The data set is generated in a temporary directory: every
picture is a file of its own with a header of its own size (JPEG, 16 sizes), every box is valid.
Each layout is read by a fresh process, as a command would do it: `load_dataset`, which parses the
annotations, reads the header of every picture, holds sizes, boxes and classes against them, and
splits. Peak memory is that of the whole process.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np

from edge_retina.benchmark.environment import read_environment
from edge_retina.files import write_json

_LABELS = tuple(f"class {number:02d}" for number in range(80))
_PER_DIRECTORY = 1000
_SECONDS, _MEGABYTES = 60, 2000  # what issue 3 asks for

_READ = """
import json, resource, sys, time
from edge_retina.datasets import load_dataset

start = time.perf_counter()
dataset = load_dataset(sys.argv[1])
seconds = time.perf_counter() - start
cpu = resource.getrusage(resource.RUSAGE_SELF)
examples = [example for split in dataset.splits.values() for example in split]
print(json.dumps({
    "images": len(examples),
    "boxes": sum(len(example.boxes_px) for example in examples),
    "seconds": seconds,
    "cpu_seconds": cpu.ru_utime + cpu.ru_stime,
    "peak_memory_mb": cpu.ru_maxrss / 1024,
}))
"""

Picture = tuple[str, tuple[int, int], np.ndarray, np.ndarray]  # name, (h, w), yxyx, classes


@click.command()
@click.option("--images", default=100_000, show_default=True)
@click.option("--boxes", default=1_000_000, show_default=True)
@click.option("--layouts", default="coco,voc,yolo,csv", show_default=True)
@click.option("--json", "target", type=click.Path(path_type=Path))
def main(images: int, boxes: int, layouts: str, target: Path | None) -> None:
    """Generate, read, tell, remove."""
    environment = dataclasses.asdict(read_environment())
    results = {}
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory, "pictures")
        _write_pictures(root, images)
        for layout in layouts.split(","):
            data = Path(directory, layout)
            pictures = "JPEGImages" if layout == "voc" else "images"
            data.mkdir()
            root.rename(data / pictures)
            _WRITERS[layout](data, _pictures(images, boxes))
            results[layout] = _measure(data)
            (data / pictures).rename(root)
            shutil.rmtree(data)
            _tell(layout, results[layout])
    if target is not None:
        record = {
            "schema_version": 1,
            "asked": {"seconds": _SECONDS, "peak_memory_mb": _MEGABYTES},
            "environment": environment,
            "results": results,
        }
        write_json(target, record)


def _measure(data: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", _READ, str(data)], stdout=subprocess.PIPE, check=True, text=True
    )
    return json.loads(done.stdout)


def _tell(layout: str, result: dict[str, Any]) -> None:
    click.echo(
        f"{layout:<6}{result['images']:>8} images {result['boxes']:>9} boxes "
        f"{result['seconds']:7.1f} s ({result['cpu_seconds']:.1f} s of processor) "
        f"{result['peak_memory_mb']:7.0f} MB"
    )


def _sizes() -> list[tuple[int, int]]:
    return [(400 + 16 * number, 640 - 16 * number) for number in range(16)]


def _name(number: int) -> str:
    return f"{number // _PER_DIRECTORY:04d}/{number:06d}"


def _write_pictures(root: Path, images: int) -> None:
    encoded = [
        cv2.imencode(".jpg", np.full((*size, 3), 128, np.uint8))[1].tobytes() for size in _sizes()
    ]
    for number in range(images):
        path = root / f"{_name(number)}.jpg"
        if number % _PER_DIRECTORY == 0:
            path.parent.mkdir(parents=True)
        path.write_bytes(encoded[number % len(encoded)])


def _pictures(images: int, boxes: int) -> Iterator[Picture]:
    """Yield as many pictures with as many boxes in all, from 0 boxes a picture on."""
    rng = np.random.default_rng(0)
    counts = rng.multinomial(boxes, np.full(images, 1 / images))
    sizes = _sizes()
    for number, count in enumerate(counts):
        height, width = sizes[number % len(sizes)]
        low = rng.uniform(0, 0.8, (count, 2))
        high = low + rng.uniform(0.02, 0.2, (count, 2))
        corners = np.concatenate([low, high], axis=1) * (height, width, height, width)
        yield _name(number), (height, width), corners.round(2), rng.integers(0, 80, count)


def _write_coco(root: Path, pictures: Iterator[Picture]) -> None:
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for number, (name, (height, width), corners, classes) in enumerate(pictures):
        images.append({"id": number, "file_name": f"{name}.jpg", "height": height, "width": width})
        for (ymin, xmin, ymax, xmax), label in zip(corners.tolist(), classes.tolist(), strict=True):
            bbox = [xmin, ymin, round(xmax - xmin, 2), round(ymax - ymin, 2)]
            annotations.append(
                {
                    "id": len(annotations),
                    "image_id": number,
                    "category_id": label + 1,
                    "bbox": bbox,
                    "area": round(bbox[2] * bbox[3], 2),
                    "iscrowd": 0,
                    "segmentation": [],
                }
            )
    categories = [{"id": number, "name": label} for number, label in enumerate(_LABELS, 1)]
    path = root / "annotations" / "instances_train.json"
    path.parent.mkdir()
    with open(path, "w", encoding="utf-8") as stream:
        # Part by part: json.dump would take minutes for it, one text of all of it half a gigabyte.
        stream.write(f'{{"categories": {json.dumps(categories)}, "images": {json.dumps(images)}, ')
        stream.write('"annotations": [')
        for start in range(0, len(annotations), 100_000):
            text = json.dumps(annotations[start : start + 100_000])
            stream.write(("," if start else "") + text[1:-1])
        stream.write("]}")


def _write_voc(root: Path, pictures: Iterator[Picture]) -> None:
    for name, (height, width), corners, classes in pictures:
        path = root / "Annotations" / f"{name}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        objects = "".join(
            f"<object>\n<name>{_LABELS[label]}</name>\n<pose>Unspecified</pose>\n"
            "<truncated>0</truncated>\n<difficult>0</difficult>\n"
            f"<bndbox>\n<xmin>{xmin}</xmin>\n<ymin>{ymin}</ymin>\n"
            f"<xmax>{xmax}</xmax>\n<ymax>{ymax}</ymax>\n</bndbox>\n</object>\n"
            for (ymin, xmin, ymax, xmax), label in zip(corners, classes, strict=True)
        )
        path.write_text(
            f"<annotation>\n<folder>x</folder>\n<filename>{name}.jpg</filename>\n<size>\n"
            f"<width>{width}</width>\n<height>{height}</height>\n<depth>3</depth>\n</size>\n"
            f"<segmented>0</segmented>\n{objects}</annotation>\n"
        )


def _write_yolo(root: Path, pictures: Iterator[Picture]) -> None:
    (root / "classes.txt").write_text("\n".join(_LABELS))
    for name, image_hw, corners, classes in pictures:
        path = root / "labels" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        boxes = corners / (image_hw * 2)
        centres, sides = (boxes[:, 2:] + boxes[:, :2]) / 2, boxes[:, 2:] - boxes[:, :2]
        path.write_text(
            "".join(
                f"{label} {x:.6f} {y:.6f} {width:.6f} {height:.6f}\n"
                for label, (y, x), (height, width) in zip(classes, centres, sides, strict=True)
            )
        )


def _write_csv(root: Path, pictures: Iterator[Picture]) -> None:
    with open(root / "all.csv", "w", encoding="utf-8") as stream:
        stream.write("filename,width,height,class,xmin,ymin,xmax,ymax\n")
        for name, (height, width), corners, classes in pictures:
            head = f"{name}.jpg,{width},{height}"
            if not len(classes):
                stream.write(f"{head},,,,,\n")
            for (ymin, xmin, ymax, xmax), label in zip(corners, classes, strict=True):
                stream.write(f"{head},{_LABELS[label]},{xmin},{ymin},{xmax},{ymax}\n")


_WRITERS: dict[str, Callable[[Path, Iterator[Picture]], None]] = {
    "coco": _write_coco,
    "voc": _write_voc,
    "yolo": _write_yolo,
    "csv": _write_csv,
}

if __name__ == "__main__":
    main()
