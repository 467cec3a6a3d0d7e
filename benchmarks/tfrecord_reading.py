"""Training samples a second, and memory, from TFRecord shards and from files of the same pictures.

    python benchmarks/tfrecord_reading.py --json benchmarks/results/tfrecord_reading.json

Asked: shards are read as fast as files, and in memory that doesn't grow with the data set. 100,000
pictures are generated: scenes of the built-in data set, each moved and mirrored into pictures of
its own, because drawing so many scenes would take hours. They are written as COCO and converted
with `write_dataset`.

Every measurement is a fresh process, as a command would be. "load" is `load_dataset`. "draw" takes
pictures from `SampleSource`, as training does: read, decode, augment and resize, in the threads
that a machine has cores. It goes through all pictures once, in the order of a training's first
epoch, which is random. Files and shards take turns, each with a part of the epoch in each round,
so that what else the machine does hits them alike. Peak memory is that of a process, with the
interpreter, NumPy and OpenCV; "annotations" is what it was when the data set had been loaded.

Pages of the page cache are not dropped. Where the data set is larger than the memory that is left,
the disk is measured too.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np

from edge_retina.benchmark.environment import read_environment
from edge_retina.datasets import load_dataset
from edge_retina.datasets.coco_writer import rounded_tree
from edge_retina.datasets.generated import generate_dataset
from edge_retina.datasets.saving import write_dataset
from edge_retina.datasets.schema import Example
from edge_retina.files import write_json
from edge_retina.runtime.image import load_image

_SCENES = 400
_PER_DIRECTORY = 1000
_LAYOUTS = ("files", "shards")
_ASKED, _ROUNDS = 0.97, 5

_MEASURE = """
import json, os, sys, time
from concurrent.futures import ThreadPoolExecutor

from edge_retina.config import AugmentationConfig
from edge_retina.datasets import load_dataset
from edge_retina.input_pipeline.sample_source import SampleSource

def peak_mb():
    # Not ru_maxrss, which begins with the memory of the process that started this one
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024

path, first, last = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
cpu, clock = time.process_time(), time.perf_counter()
examples = load_dataset(path).split("train")
result = {
    "load_seconds": time.perf_counter() - clock,
    "load_cpu_seconds": time.process_time() - cpu,
    "annotations_mb": peak_mb(),
}
source = SampleSource(examples, image_hw=(224, 224), settings=AugmentationConfig(), seed=0)
threads = os.cpu_count() or 1

def work(start):
    samples = map(source.draw, range(start, last, threads))
    return sum(int(sample.image_rgb[0, 0, 0]) for sample in samples)

cpu, clock = time.process_time(), time.perf_counter()
with ThreadPoolExecutor(threads) as pool:
    result["checksum"] = sum(pool.map(work, range(first, first + threads)))
result["draw_seconds"] = time.perf_counter() - clock
result["draw_cpu_seconds"] = time.process_time() - cpu
result["images"] = last - first
result["peak_mb"] = peak_mb()
print(json.dumps(result))
"""


@click.command()
@click.option("--images", default=100_000, show_default=True)
@click.option("--rounds", default=_ROUNDS, show_default=True)
@click.option("--directory", type=click.Path(path_type=Path), help="For the data: 25 KB a picture.")
@click.option("--json", "target", type=click.Path(path_type=Path))
def main(images: int, rounds: int, directory: Path | None, target: Path | None) -> None:
    """Generate, convert, measure, tell, remove."""
    with tempfile.TemporaryDirectory(dir=directory) as temporary:
        places = {name: Path(temporary, name) for name in _LAYOUTS}
        made = {"generate": _timed(_generate, places["files"], images)}
        dataset = load_dataset(places["files"])
        made["convert"] = _timed(write_dataset, dataset, places["shards"], layout="tfrecord")
        del dataset
        sizes = {
            name: sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
            for name, place in places.items()
        }
        shards = len(list(places["shards"].glob("*.tfrecord")))
        found = _measure(places, images, rounds)
    result = {
        "schema_version": 1,
        "environment": dataclasses.asdict(read_environment()),
        "images": images,
        "size_bytes": sizes,
        "shards": shards,
        "seconds": made,
        "results": {name: _summary(items) for name, items in found.items()},
        "shards_to_files": _ratios(found),
        "rounds": found,
    }
    _tell(result)
    if target is not None:
        write_json(target, result)


def _timed(function: Any, *arguments: Any, **options: Any) -> dict[str, float]:
    cpu, clock = time.process_time(), time.perf_counter()
    function(*arguments, **options)
    return {"wall": time.perf_counter() - clock, "cpu": time.process_time() - cpu}


def _measure(places: dict[str, Path], images: int, rounds: int) -> dict[str, list[dict[str, Any]]]:
    """Return what each round measured; the two take turns, ABBA."""
    edges = np.linspace(0, images, rounds + 1).astype(int)
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in places}
    for number, (first, last) in enumerate(itertools.pairwise(edges)):
        for name in list(places)[:: 1 if number % 2 == 0 else -1]:
            command = [sys.executable, "-c", _MEASURE, str(places[name]), str(first), str(last)]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
            found[name].append(json.loads(done.stdout))
    for one, two in zip(*found.values(), strict=True):
        if one["checksum"] != two["checksum"]:
            raise click.ClickException("files and shards gave different pixels")
    return found


def _summary(items: list[dict[str, Any]]) -> dict[str, float]:
    def median(key: str) -> float:
        return statistics.median(item[key] for item in items)

    images = sum(item["images"] for item in items)
    return {
        "images_per_second": images / sum(item["draw_seconds"] for item in items),
        "images_per_cpu_second": images / sum(item["draw_cpu_seconds"] for item in items),
        "load_seconds": median("load_seconds"),
        "load_cpu_seconds": median("load_cpu_seconds"),
        "annotations_mb": max(item["annotations_mb"] for item in items),
        "peak_mb": max(item["peak_mb"] for item in items),
    }


def _ratios(found: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return how many times as fast shards are, by processor and by clock, in each round."""
    ratios = {}
    for key in ("draw_cpu_seconds", "draw_seconds"):
        rounds = [a[key] / b[key] for a, b in zip(found["files"], found["shards"], strict=True)]
        ratios[key] = {"median": statistics.median(rounds), "rounds": rounds}
    return ratios


def _tell(result: dict[str, Any]) -> None:
    for name, row in result["results"].items():
        click.echo(
            f"{name:<7}{result['size_bytes'][name] / 1e9:6.2f} GB  loaded in "
            f"{row['load_seconds']:.1f} s ({row['load_cpu_seconds']:.1f} of processor), "
            f"{row['images_per_second']:.0f} images/s, {row['images_per_cpu_second']:.0f} a second "
            f"of processor; {row['annotations_mb']:.0f} MB loaded, {row['peak_mb']:.0f} MB at most"
        )
    ratio = result["shards_to_files"]
    click.echo(
        f"shards / files: {ratio['draw_cpu_seconds']['median']:.3f} by processor, "
        f"{ratio['draw_seconds']['median']:.3f} by clock (asked: >= {_ASKED})"
    )


def _generate(root: Path, images: int) -> None:
    """Write pictures as COCO: a few scenes, each moved around its edges and mirrored.

    A box that would be cut by the edge it moves over is cut there, and its longer part is kept.
    """
    with tempfile.TemporaryDirectory() as temporary:
        generate_dataset(Path(temporary, "scenes"), images={"train": min(_SCENES, images)})
        scenes = load_dataset(Path(temporary, "scenes"))
        examples = scenes.split("train")
        rgb = [load_image(example.path) for example in examples]
        pixels = [cv2.cvtColor(image, cv2.COLOR_RGB2BGR) for image in rgb]
    made = []
    for number in range(images):
        which = number % len(examples)
        rng = np.random.default_rng([1, number])
        picture, boxes = _moved(pixels[which], examples[which].boxes_px, rng)
        name = f"{number // _PER_DIRECTORY:04d}/{number:06d}.jpg"
        path = root / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, 85]):
            raise click.ClickException(f"{path}: could not be written; is the disk full?")
        made.append(
            dataclasses.replace(
                examples[which],
                image_id=name,
                path=path,
                boxes_px=boxes,
            )
        )
    _write_coco(root, made, scenes.labels)


def _moved(
    picture: np.ndarray, boxes_px: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    width = picture.shape[1]
    shift = int(rng.integers(0, width))
    picture = np.roll(picture, shift, axis=1)
    left, right = boxes_px[:, 1] + shift, boxes_px[:, 3] + shift
    wraps = left >= width
    left, right = left - width * wraps, right - width * wraps
    cut = right > width
    keeps_left = cut & (width - left >= right - width)
    left = np.where(cut & ~keeps_left, 0, left)
    right = np.where(keeps_left, width, np.where(cut, right - width, right))
    if rng.random() < 0.5:
        picture, left, right = picture[:, ::-1], width - right, width - left
    boxes = np.stack([boxes_px[:, 0], left, boxes_px[:, 2], right], axis=1)
    return np.ascontiguousarray(picture), boxes.astype(np.float32)


def _write_coco(root: Path, examples: list[Example], labels: tuple[str, ...]) -> None:
    path = root / "annotations" / "instances_train.json"
    path.parent.mkdir()
    # Not indented: with it, Python's JSON encoder takes minutes for so many boxes.
    path.write_text(json.dumps(rounded_tree(examples, labels)), encoding="utf-8")


if __name__ == "__main__":
    main()
