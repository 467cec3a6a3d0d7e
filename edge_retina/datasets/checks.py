"""Annotations held against their pictures: sizes, box limits, classes, broken files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from edge_retina.datasets.annotation import ImageAnnotation, ObjectAnnotation, Problems
from edge_retina.datasets.image_header import ImageHeader, read_image_header
from edge_retina.datasets.schema import Example
from edge_retina.errors import DatasetError, choices_hint

# Annotation tools round to whole pixels, so a box may stick out by one.
ROUNDING_PX = 1.0
_THREADS = 8  # reading headers waits for the disk, not for the processor


def check_annotations(
    annotations: Sequence[ImageAnnotation], labels: tuple[str, ...], problems: Problems
) -> list[Example | None]:
    """Turn annotations into examples.

    Boxes that stick out by at most a pixel are clipped; everything else that is invalid goes into
    `problems`.

    Args:
        annotations: as read.
        labels: the class names that are allowed, in class order.
        problems: collects what was left out.

    Returns:
        An example for each annotation, None where the picture can't be used.
    """
    index = {label: number for number, label in enumerate(labels)}
    with ThreadPoolExecutor(_THREADS) as pool:
        headers = list(pool.map(_try_header, (item.path for item in annotations)))
    return [
        _check_image(annotation, header, index, problems)
        for annotation, header in zip(annotations, headers, strict=True)
    ]


def find_broken_images(
    examples: Iterable[Example], decode: Callable[[Path], np.ndarray]
) -> dict[Path, str]:
    """Decode every picture and return what is wrong, by file, in the order of `examples`.

    Args:
        examples: pictures to look at; a file that occurs twice is decoded once.
        decode: returns the upright (H, W, 3) picture or raises DatasetError.
    """
    unique = {example.path: example for example in examples}

    def look(example: Example) -> str | None:
        try:
            shape = decode(example.path).shape
        except DatasetError as error:
            return str(error)
        if shape[:2] != example.image_hw:
            return f"{example.path}: decodes to {shape[:2]}, its header says {example.image_hw}"
        return None

    with ThreadPoolExecutor(_THREADS) as pool:
        found = zip(unique, pool.map(look, unique.values()), strict=True)
        return {path: line for path, line in found if line is not None}


def _try_header(path: Path) -> ImageHeader | DatasetError:
    try:
        return read_image_header(path)
    except DatasetError as error:
        return error


def _check_image(
    annotation: ImageAnnotation,
    header: ImageHeader | DatasetError,
    index: dict[str, int],
    problems: Problems,
) -> Example | None:
    if isinstance(header, DatasetError):
        problems.add(annotation.source, str(header))
        return None
    stated = annotation.size_hw
    if stated not in (None, header.image_hw, header.raw_hw):
        problems.add(
            annotation.source,
            f"size is stated as {_size(stated)}, "
            f"but {annotation.path.name} has {_size(header.image_hw)}",
        )
        return None
    # The file states the size before the EXIF rotation: the boxes were drawn on that picture. Where
    # both sizes are the same (square, or not rotated by 90 degrees) nobody can tell, and nearly all
    # tools show pictures upright.
    drawn_on_raw = stated is not None and stated != header.image_hw
    frame_hw = header.raw_hw if drawn_on_raw else header.image_hw
    boxes, classes, crowd = _check_objects(annotation, frame_hw, index, problems)
    return Example(
        image_id=annotation.image_id,
        path=annotation.path,
        image_hw=header.image_hw,
        boxes_px=header.boxes_upright(boxes) if drawn_on_raw else boxes,
        classes=classes,
        crowd=crowd,
    )


def _check_objects(
    annotation: ImageAnnotation,
    frame_hw: tuple[int, int],
    index: dict[str, int],
    problems: Problems,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    boxes: list[tuple[float, ...]] = []
    classes: list[int] = []
    crowd: list[bool] = []
    for item in annotation.objects:
        where = f"{annotation.source}, {item.name}"
        if item.label not in index:
            problems.add(
                where, f"class '{item.label}' is not in the list; {choices_hint(item.label, index)}"
            )
            continue
        box = _check_box(item, where, frame_hw, annotation.normalized, problems)
        if box is not None:
            boxes.append(box)
            classes.append(index[item.label])
            crowd.append(item.crowd)
    return (
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(classes, np.int32),
        np.array(crowd, bool),
    )


def _check_box(
    item: ObjectAnnotation,
    where: str,
    frame_hw: tuple[int, int],
    normalized: bool,
    problems: Problems,
) -> tuple[float, ...] | None:
    height, width = frame_hw
    scale = (height, width, height, width) if normalized else (1, 1, 1, 1)
    ymin, xmin, ymax, xmax = (side * factor for side, factor in zip(item.yxyx, scale, strict=True))
    if xmax <= xmin:
        problems.add(where, f"xmax ({xmax:g}) <= xmin ({xmin:g})")
        return None
    if ymax <= ymin:
        problems.add(where, f"ymax ({ymax:g}) <= ymin ({ymin:g})")
        return None
    clipped = (max(ymin, 0.0), max(xmin, 0.0), min(ymax, height), min(xmax, width))
    inside = clipped[2] > clipped[0] and clipped[3] > clipped[1]
    if not inside or max(-xmin, -ymin, xmax - width, ymax - height) > ROUNDING_PX:
        how = "sticks out of" if inside else "lies outside"
        box = f"xmin {xmin:g} ymin {ymin:g} xmax {xmax:g} ymax {ymax:g}"
        problems.add(where, f"box {box} {how} the picture of {_size(frame_hw)}")
    return clipped if inside else None


def _size(image_hw: tuple[int, int] | None) -> str:
    return f"{image_hw[1]}x{image_hw[0]}" if image_hw else "nothing"
