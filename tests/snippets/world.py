"""A directory with small stand-ins of what the pages name: data sets, models, configs, pictures."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np

from edge_retina.runtime.manifest import FileEntry, InputSpec, Manifest

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
LABELS = ("disc", "square")
DATA_SETS = ("bccd", "cells", "coco", "mine")
SIZES = {"train": 8, "val": 4, "test": 4}
HEIGHT, WIDTH = 96, 128
# A network that trains in seconds; see tests/e2e for one that learns something.
TINY_CONFIG = """\
name = "{name}"
[data]
path = "data/{data}"
[model]
image_hw = [64, 64]
backbone_width = 0.35
pretrained = "none"
fpn_channels = 16
head_depth = 1
max_level = 5
[train]
steps = 2
batch_size = 2
probe_images = 0
[quantize]
method = "ptq"
steps = 2
calibration_images = 8
"""


def make_world(root: Path) -> Path:
    """Make everything that needs no TensorFlow, and return the directory."""
    root.mkdir(parents=True)
    for number, name in enumerate(DATA_SETS):
        write_data(root / "data" / name, seed=number)
    export = write_export(root / "runs" / "demo" / "export", "demo")
    write_export(root / "runs" / "mine" / "export", "mine")
    write_export(root / "detector", "cells")
    for name in ("mine_int8.tflite", "cells_int8.tflite", "demo_int8.tflite"):
        shutil.copy(GOLDEN / "tiny_uint8.tflite", root / name)
    (root / "labels.txt").write_text("".join(f"{label}\n" for label in LABELS))
    for name, data in (("cells", "cells"), ("my", "mine"), ("config", "mine")):
        (root / f"{name}.toml").write_text(TINY_CONFIG.format(name=name, data=data))
    for directory in ("photos", "runs/demo/data/images/val"):
        (root / directory).mkdir(parents=True)
    picture = next((root / "data" / "mine" / "images").glob("*.jpg"))
    val = "runs/demo/data/images/val"
    for target in ("photos/1.jpg", "photos/2.jpg", "photo.jpg", f"{val}/1.jpg"):
        shutil.copy(picture, root / target)
    write_clip(root / "clip.mov")
    write_benchmarks(root, export)
    return root


def write_data(root: Path, *, seed: int) -> None:
    """Write discs and squares on noise as COCO, with three splits."""
    rng = np.random.default_rng(seed)
    (root / "images").mkdir(parents=True)
    (root / "annotations").mkdir()
    for split, count in SIZES.items():
        images, annotations = [], []
        for number in range(1, count + 1):
            picture = rng.integers(0, 90, (HEIGHT, WIDTH, 3)).astype(np.uint8)
            name = f"{split}_{number}.jpg"
            for label in (1, 2):
                side = int(rng.integers(24, 48))
                x, y = int(rng.integers(0, WIDTH - side)), int(rng.integers(0, HEIGHT - side))
                corner, far = (x, y), (x + side - 1, y + side - 1)
                if label == 2:
                    cv2.rectangle(picture, corner, far, (220, 80, 60), -1)
                else:
                    centre = (x + side // 2, y + side // 2)
                    cv2.circle(picture, centre, side // 2, (60, 200, 230), -1)
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": number,
                        "category_id": label,
                        "bbox": [x, y, side, side],
                        "area": side * side,
                        "iscrowd": 0,
                    }
                )
            cv2.imwrite(str(root / "images" / name), picture)
            images.append({"id": number, "file_name": name, "height": HEIGHT, "width": WIDTH})
        categories = [{"id": number, "name": name} for number, name in enumerate(LABELS, 1)]
        tree = {"images": images, "annotations": annotations, "categories": categories}
        (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(tree))


def write_export(directory: Path, name: str) -> Path:
    """Write an export directory of the tiny detector of tests/golden."""
    directory.mkdir(parents=True)
    files = {f"{name}_float32.tflite": "float32", f"{name}_int8.tflite": "uint8"}
    for file, dtype in files.items():
        shutil.copy(GOLDEN / f"tiny_{dtype}.tflite", directory / file)
    Manifest(
        edge_retina_version="0.1.0",
        input=InputSpec(32, 32, files, 128.0, 128.0),
        outputs=(),
        labels=LABELS,
        anchors={},
        thresholds={},
        quantization={},
        metrics={},
        files={file: FileEntry.of(directory / file) for file in files},
        config={},
    ).save(directory)
    return directory


def write_clip(path: Path) -> None:
    """Write a video of four frames."""
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (WIDTH, HEIGHT))
    for grey in (0, 80, 160, 240):
        video.write(np.full((HEIGHT, WIDTH, 3), grey, np.uint8))
    video.release()


def write_benchmarks(root: Path, export: Path) -> None:
    """Write the documents of an older benchmark, as the commands name them."""
    import edge_retina as er

    model = export / "demo_int8.tflite"
    report = er.benchmark(
        model, runs=2, rounds=1, min_seconds=0, max_warmup=0, backends=["xnnpack"]
    )
    text = json.dumps(report.to_dict())
    for name in ("old.json", "benchmark.json"):
        (root / name).write_text(text)


def copy_world(world: Path, target: Path) -> Path:
    """Copy a world for one snippet, so that none sees what another wrote."""
    shutil.copytree(world, target, symlinks=True)
    return target
