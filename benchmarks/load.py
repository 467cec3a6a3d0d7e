"""Time and memory of large data: 100,000 pictures, 1,000 classes, 4K pictures, an hour of video.

    nice -n 12 python benchmarks/load.py --work WORK --json benchmarks/results/load.json

Everything is drawn. Each part is a command of the program in a process of its own. Noted are its
wall time, its processor time and the highest memory of the process. The parts on 1,000, 10,000 and
100,000 pictures with ten objects each show what a further picture costs in memory.

- doctor, anchors, convert (to TFRecords), evaluate (with tests/golden/tiny_uint8.tflite);
- load: annotations of each format, on at most 10,000 pictures;
- input: the training's tf.data pipeline, 5,000 samples of it whatever the number of pictures is;
- 80 and 1,000 classes, 4K pictures, 2,000 objects in a picture, 10,000 files and 3,600 frames of
  video for `predict`.

The measurement goes on where it was interrupted: parts in the result file are not repeated.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from edge_retina.benchmark.environment import read_environment
from edge_retina.files import load_json, write_json

ROOT = Path(__file__).resolve().parents[1]
TINY = ROOT / "tests" / "golden" / "tiny_uint8.tflite"
TINY_LABELS = ("disc", "square")
COUNTS = (1000, 10_000, 100_000)
DRAWN = "coco"  # the format that is drawn; the others are converted from it
LAYOUTS = (DRAWN, "voc", "yolo", "csv", "tfrecord")
OBJECTS = 10
SAMPLES = 5000
FRAMES = 3600
SIDE = 64
_INSIDE: dict[str, Callable[..., None]] = {}

Settings = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Part:
    """One measurement.

    Attributes:
        name: of the row.
        data: the arguments of `draw_data`, which are also the name of its directory.
        command: arguments of the program; DATA and OUT stand for paths. Or ("inside", NAME, ...),
            for a function of this file.
        items: how many pictures, samples or frames it goes through.
        layout: the format of the annotations.
    """

    name: str
    data: Settings
    command: tuple[str, ...]
    items: int
    layout: str = DRAWN

    @property
    def key(self) -> str:
        """What the row is called in the result file."""
        return f"{self.name} {self.data['images']}"


def _whole(images: int) -> list[Part]:
    data = {"images": images, "objects": OBJECTS, "classes": 2, "side": SIDE}
    loads = [
        Part(f"load {layout}", data, ("inside", "load", "DATA"), images, layout)
        for layout in (LAYOUTS if images < COUNTS[2] else ())
    ]
    return [
        *loads,
        Part("doctor", data, ("doctor", "DATA"), images),
        Part("anchors", data, ("anchors", "DATA"), images),
        Part("convert", data, ("convert", "DATA", "--to", "tfrecord", "--out", "OUT"), images),
        Part("input", data, ("inside", "input", "DATA"), SAMPLES),
        Part("evaluate", data, ("evaluate", str(TINY), "DATA", "--split", "train"), images),
    ]


def parts() -> list[Part]:
    """Return all of them, the short ones first."""
    few = {"images": 20, "objects": 2000, "classes": 2, "side": 1024}
    large = {"images": 40, "objects": OBJECTS, "classes": 2, "side": 2160}
    found = _whole(COUNTS[0]) + _whole(COUNTS[1])
    for classes in (80, 1000):
        data = {"images": 2000, "objects": OBJECTS, "classes": classes, "side": SIDE}
        found += [
            Part(f"doctor, {classes} classes", data, ("doctor", "DATA"), 2000),
            Part(f"model and evaluate, {classes} classes", data, ("inside", "model", "DATA"), 2000),
        ]
    found += [
        Part("doctor, 2,000 boxes a picture", few, ("doctor", "DATA"), 20),
        Part("input, 2,000 boxes a picture", few, ("inside", "input", "DATA", "200"), 200),
        Part(
            "evaluate, 2,000 boxes a picture",
            few,
            ("evaluate", str(TINY), "DATA", "--split", "train"),
            20,
        ),
        Part("doctor, 4K pictures", large, ("doctor", "DATA"), 40),
        Part("predict, 4K pictures", large, ("predict", str(TINY), "IMAGES", "--out", "OUT"), 40),
    ]
    whole = {"images": COUNTS[1], "objects": OBJECTS, "classes": 2, "side": SIDE}
    found += [
        Part("predict", whole, ("predict", str(TINY), "IMAGES", "--out", "OUT"), COUNTS[1]),
        Part("predict, an hour of video", whole, ("inside", "video", "OUT"), FRAMES),
    ]
    return found + _whole(COUNTS[2])


# What a process of its own does --------------------------------------------------------------


def inside(function: Callable[..., None]) -> Callable[..., None]:
    """Let a function be called as `load.py --inside NAME ARGUMENTS`."""
    _INSIDE[function.__name__] = function
    return function


@inside
def draw_data(out: str, images: str, objects: str, classes: str, side: str) -> None:
    """Write distinct pictures with random objects as COCO, all in the split train."""
    import cv2
    import numpy as np

    count, width = int(images), int(side) * 16 // 9 if int(side) > 1024 else int(side)
    root, height = Path(out), int(side)
    (root / "images" / "train").mkdir(parents=True)
    (root / "annotations").mkdir()
    labels = TINY_LABELS if int(classes) == 2 else tuple(f"class {n}" for n in range(int(classes)))
    entries: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number in range(count):
        rng = np.random.default_rng([0, number])
        coarse = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        picture = cv2.resize(coarse, (width, height))
        name = f"{number:06d}.jpg"
        cv2.imwrite(str(root / "images" / "train" / name), picture)
        entries.append({"id": number + 1, "file_name": name, "height": height, "width": width})
        sides = rng.uniform(4, height / 3, (int(objects), 2))
        corners = rng.uniform(0, 1, (int(objects), 2)) * (np.array([width, height]) - sides)
        kinds = rng.integers(1, len(labels) + 1, int(objects))
        annotations += [
            {
                "id": len(annotations) + place + 1,
                "image_id": number + 1,
                "category_id": int(kind),
                "bbox": [round(float(v), 2) for v in (*corner, *size)],
                "area": round(float(size.prod()), 2),
                "iscrowd": 0,
            }
            for place, (kind, corner, size) in enumerate(zip(kinds, corners, sides, strict=True))
        ]
    tree = {
        "images": entries,
        "annotations": annotations,
        "categories": [{"id": n, "name": label} for n, label in enumerate(labels, 1)],
    }
    # Not indented, as tools write it
    (root / "annotations" / "instances_train.json").write_text(json.dumps(tree))


@inside
def load(data: str) -> None:
    """Load a data set and look at each example."""
    from edge_retina.datasets import load_dataset

    for _ in load_dataset(data).split("train"):
        pass


@inside
def input(data: str, samples: str = str(SAMPLES)) -> None:
    """Draw training samples."""
    from edge_retina.boxes.anchors import AnchorGrid
    from edge_retina.config import AugmentationConfig, DataConfig, MatchingConfig
    from edge_retina.datasets import load_dataset
    from edge_retina.input_pipeline.pipeline import training_batches

    shapes = tuple(((4.0 * 2**level, 4.0 * 2**level),) for level in (3, 4, 5))
    batches = training_batches(
        load_dataset(data).split("train"),
        grid=AnchorGrid((128, 128), 3, shapes),
        data=DataConfig(path=data, cache_mb=0),
        augmentation=AugmentationConfig(),
        matching=MatchingConfig(),
        batch_size=20,
        seed=0,
    )
    for _ in batches.take(int(samples) // 20):
        pass


@inside
def model(data: str) -> None:
    """Export an int8 file with random weights for the data's classes, and evaluate it."""
    import tempfile

    from edge_retina.boxes.anchors import AnchorGrid
    from edge_retina.cli.main import main as program
    from edge_retina.config import load_config
    from edge_retina.datasets import load_dataset
    from edge_retina.export.artefact import file_content
    from edge_retina.model.deploy import build_deploy_graph
    from edge_retina.model.keras import keras
    from edge_retina.model.retinanet import build_retinanet
    from edge_retina.quantization.wrapping import build_quantized_model

    labels = load_dataset(data).labels
    config = load_config(
        overrides=[
            f"data.path={json.dumps(data)}",
            "model.backbone_width=0.35",
            "model.pretrained=none",
            "model.image_size=64",
            "model.max_level=5",
            "model.fpn_channels=32",
            "model.head_depth=1",
        ]
    )
    grid = AnchorGrid((64, 64), 3, tuple(((4.0 * 2**n, 4.0 * 2**n),) for n in (3, 4, 5)))
    keras.utils.set_random_seed(0)
    built = build_retinanet(config.model, num_classes=len(labels), anchors=grid)
    quantized = build_quantized_model(build_deploy_graph(built))
    quantized.set_activation_ranges(dict.fromkeys(quantized.activation_ranges(), (-6.0, 6.0)))
    quantized.round_biases()
    content = file_content(
        quantized.model,
        "int8",
        grid=grid,
        labels=labels,
        config=config,
        nms=True,
        uint8_input=True,
    )
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "drawn_int8.tflite"
        path.write_bytes(content)
        program(["evaluate", str(path), data, "--split", "train"], standalone_mode=False)


@inside
def video(out: str) -> None:
    """Write an hour of video at a frame a second, and find objects in it."""
    import cv2
    import numpy as np

    from edge_retina.cli.main import main as program

    Path(out).mkdir(parents=True)
    path = Path(out) / "hour.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 1.0, (320, 240))
    for number in range(FRAMES):
        coarse = np.random.default_rng(number).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        writer.write(cv2.resize(coarse, (320, 240)))
    writer.release()
    program(["predict", str(TINY), str(path), "--out", f"{out}/drawn"], standalone_mode=False)


# The measurement -----------------------------------------------------------------------------


def measure(part: Part, work: Path) -> dict[str, Any]:
    """Draw the data if they aren't there, run the part, and return its row."""
    data = work / "_".join(str(value) for value in part.data.values())
    if not (data / "annotations" / "instances_train.json").exists():
        _delete(data)
        _run([str(__file__), "--inside", "draw_data", str(data), *map(str, part.data.values())])
    if part.layout != DRAWN:
        source, data = data, data.with_name(f"{data.name}_{part.layout}")
        if not data.exists():
            convert = ["convert", str(source), "--to", part.layout, "--out", str(data)]
            _run(["-m", "edge_retina.cli.main", *convert])
    out = work / "out"
    _delete(out)
    names = {"DATA": data, "IMAGES": data / "images" / "train", "OUT": out}
    arguments = [str(names.get(argument, argument)) for argument in part.command]
    if arguments[0] == "inside":
        found = _run([str(__file__), "--inside", *arguments[1:]])
    else:
        found = _run(["-m", "edge_retina.cli.main", *arguments])
    _delete(out)
    return {"part": part.name, **part.data, "items": part.items, **found}


def _run(arguments: Sequence[str]) -> dict[str, float]:
    """Run Python with arguments; return times and the highest memory.

    Raises:
        click.ClickException: it failed.
    """
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""},
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        text = said[-2000:].decode(errors="replace")
        raise click.ClickException(f"{' '.join(arguments)}: exit {process.returncode}\n{text}")
    return {
        "seconds": round(time.monotonic() - started, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_mb": round(usage.ru_maxrss / 1024, 1),
    }


def _delete(path: Path) -> None:
    subprocess.run(["rm", "-rf", "--", str(path)], check=True)


def growth(rows: dict[str, dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Return by part the bytes of memory that each further picture costs.

    Between the largest number of pictures that was measured, "to", and the one before it, "from".
    """
    found = {}
    for part in _whole(COUNTS[0]):
        measured = [count for count in COUNTS if f"{part.name} {count}" in rows]
        if len(measured) < 2:
            continue
        few, many = measured[-2:]
        peaks = [rows[f"{part.name} {count}"]["peak_mb"] * 2**20 for count in (few, many)]
        each = round((peaks[1] - peaks[0]) / (many - few))
        found[part.name] = {"bytes": each, "from": few, "to": many}
    return found


@click.command()
@click.option("--work", type=click.Path(path_type=Path), help="For the drawn data; kept.")
@click.option("--json", "target", type=click.Path(path_type=Path))
@click.option("--only", help="Only the parts whose name begins so.")
@click.option("--most", type=int, help="Only the parts with at most so many pictures.")
@click.option("--inside", "function", hidden=True)
@click.argument("arguments", nargs=-1)
def main(
    work: Path | None,
    target: Path | None,
    only: str | None,
    most: int | None,
    function: str | None,
    arguments: tuple[str, ...],
) -> None:
    """Measure what is not measured yet."""
    if function:
        _INSIDE[function](*arguments)
        return
    if work is None or target is None:
        raise click.UsageError("--work and --json are needed")
    rows = dict(load_json(target)["parts"]) if target.exists() else {}
    work.mkdir(parents=True, exist_ok=True)
    for part in parts():
        if part.key in rows or not part.name.startswith(only or ""):
            continue
        if most is not None and part.data["images"] > most:
            continue
        rows[part.key] = measure(part, work)
        row = rows[part.key]
        click.echo(f"{part.key}: {row['cpu_seconds']} s of processor, {row['peak_mb']} MB")
        document = {
            "schema_version": 1,
            "command": "python benchmarks/load.py --work WORK --json benchmarks/results/load.json",
            "environment": dataclasses.asdict(read_environment()),
            "parts": rows,
            "bytes_per_image": growth(rows),
        }
        write_json(target, document)


if __name__ == "__main__":
    main()
