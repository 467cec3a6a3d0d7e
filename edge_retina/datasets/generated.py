"""The built-in data set: deterministic, made in seconds, nothing to download.

Five shapes over photographic-looking clutter, with shadows, occlusion and a wide range of sizes,
written as COCO so that users see the layout their own data may have.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import cv2
import numpy as np

from edge_retina.datasets.clutter import light_and_camera, random_background
from edge_retina.datasets.coco_writer import rounded_tree
from edge_retina.datasets.output_directory import new_directory
from edge_retina.datasets.schema import Example
from edge_retina.datasets.shapes import (
    SHAPES,
    Shape,
    paint_shape,
    random_shape,
    shape_area_px,
    shape_mask,
)
from edge_retina.datasets.splits import SPLITS
from edge_retina.errors import DatasetError
from edge_retina.files import write_json

DEFAULT_IMAGES: Mapping[str, int] = MappingProxyType({"train": 400, "val": 80, "test": 80})
_EMPTY_SHARE = 0.08  # images without objects
_MAX_OBJECTS = 8
# An object of which less can be seen is not left in an image unlabelled: the image would teach
# that it is background. It is placed elsewhere instead.
_MIN_VISIBLE = 0.4
_MIN_VISIBLE_PX = 60  # area; slivers of small objects can't be told apart
_ATTEMPTS = 30


@dataclass(frozen=True)
class _Scene:
    """One image: (H, W, 3) uint8 RGB, (G, 4) integer yxyx boxes, class names."""

    image: np.ndarray
    boxes_px: np.ndarray
    labels: tuple[str, ...]


def generate_dataset(
    out: Path | str,
    *,
    images: Mapping[str, int] = DEFAULT_IMAGES,
    image_hw: tuple[int, int] = (240, 320),
    seed: int = 0,
) -> None:
    """Make the data set and write it as COCO.

    Every image has a generator of its own, from the seed, its split and its number, so the first
    images of a split are the same whatever the counts are.

    Args:
        out: a new directory.
        images: number of images by split (train, val, test).
        image_hw: (height, width) of the images in pixels; at least 64 each.
        seed: another seed gives other images.

    Raises:
        DatasetError: `out` is not empty, an unknown split, or images too small.
    """
    unknown = sorted(set(images) - set(SPLITS))
    if unknown or min(image_hw) < 64:
        raise DatasetError(
            f"{out}: can't generate splits {sorted(images)} of {image_hw[1]}x{image_hw[0]} pixels; "
            f"expected splits among {', '.join(SPLITS)} and at least 64x64"
        )
    with new_directory(out) as directory:
        for split, count in images.items():
            _write_split(directory, split, count, image_hw, seed)


def _write_split(
    directory: Path, split: str, count: int, image_hw: tuple[int, int], seed: int
) -> None:
    image_dir = directory / "images" / split
    image_dir.mkdir(parents=True)

    def make(number: int) -> tuple[str, _Scene]:
        rng = np.random.default_rng([seed, SPLITS.index(split), number])
        scene = _make_scene(rng, image_hw)
        name = f"{number:06d}.jpg"
        quality = int(rng.integers(75, 96))
        bgr = cv2.cvtColor(scene.image, cv2.COLOR_RGB2BGR)
        if not cv2.imwrite(str(image_dir / name), bgr, [cv2.IMWRITE_JPEG_QUALITY, quality]):
            raise DatasetError(f"{image_dir / name}: could not be written; is the disk full?")
        return name, scene

    with ThreadPoolExecutor() as pool:
        scenes = list(pool.map(make, range(1, count + 1)))
    examples = [_example(image_dir / name, scene) for name, scene in scenes]
    tree = {
        "info": {"description": "edge_retina generated shapes", "version": "1"},
        **rounded_tree(examples, SHAPES),
    }
    write_json(directory / "annotations" / f"instances_{split}.json", tree)


def _example(path: Path, scene: _Scene) -> Example:
    return Example(
        image_id=path.name,
        path=path,
        image_hw=scene.image.shape[:2],
        boxes_px=scene.boxes_px.astype(np.float32),
        classes=np.array([SHAPES.index(label) for label in scene.labels], np.int32),
        crowd=np.zeros(len(scene.labels), bool),
    )


def _make_scene(rng: np.random.Generator, image_hw: tuple[int, int]) -> _Scene:
    background = random_background(rng, image_hw)
    empty = rng.random() < _EMPTY_SHARE
    count = 0 if empty else int(rng.integers(1, _MAX_OBJECTS + 1))
    placed, visible = _place_shapes(rng, image_hw, count)
    image = background
    for shape, mask in placed:
        image = paint_shape(image, shape, mask, rng)
    boxes = [_extent(mask) for mask in visible]
    return _Scene(
        image=light_and_camera(image, rng),
        boxes_px=np.array(boxes, np.int32).reshape(-1, 4),
        labels=tuple(shape.label for shape, _ in placed),
    )


def _place_shapes(
    rng: np.random.Generator, image_hw: tuple[int, int], count: int
) -> tuple[list[tuple[Shape, np.ndarray]], list[np.ndarray]]:
    """Place shapes, later ones in front, so that enough of each can be seen.

    Returns:
        (shape, coverage) pairs from back to front, and the (H, W) bool mask of what is seen of
        each.
    """
    placed: list[tuple[Shape, np.ndarray]] = []
    visible: list[np.ndarray] = []
    for _ in range(_ATTEMPTS):
        if len(placed) == count:
            break
        shape = random_shape(rng, image_hw)
        mask = shape_mask(shape, image_hw)
        covers = mask >= 128
        now_visible = [before & ~covers for before in visible] + [covers]
        shapes = [item for item, _ in placed] + [shape]
        if all(_seen_enough(*pair) for pair in zip(shapes, now_visible, strict=True)):
            placed.append((shape, mask))
            visible = now_visible
    return placed, visible


def _seen_enough(shape: Shape, visible: np.ndarray) -> bool:
    seen_px = np.count_nonzero(visible)
    return bool(seen_px >= max(_MIN_VISIBLE_PX, _MIN_VISIBLE * shape_area_px(shape)))


def _extent(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Return the yxyx box around the True pixels, in continuous coordinates."""
    ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(ys[0]), int(xs[0]), int(ys[-1]) + 1, int(xs[-1]) + 1
