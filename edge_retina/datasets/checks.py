"""Annotations checked against their images: sizes, box limits, classes, broken files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from edge_retina.datasets.annotation import ImageAnnotation, ObjectAnnotation
from edge_retina.datasets.boundary import Boundary
from edge_retina.datasets.image_header import ImageHeader, read_image_header
from edge_retina.datasets.problems import Code, Problems
from edge_retina.datasets.schema import Example
from edge_retina.datasets.threads import map_in_threads
from edge_retina.errors import DatasetError, ImageError, choices_hint

# Annotation tools round to whole pixels, so a box may stick out by one.
ROUNDING_PX = 1.0
# Boxes are kept to 0.01 px; a thinner one has no area, and none in float32 on the largest images.
_THINNEST_PX = 0.005
_MOST_HINTS = 20  # unknown classes that are compared with all known ones


class ClassIndex:
    """The class names that are allowed.

    Attributes:
        numbers: each one's number, by name.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        self.numbers = {label: number for number, label in enumerate(labels)}
        self._hints: dict[str, str] = {}

    def describe_unknown(self, label: str) -> str:
        """Return what to say of an object whose class is none of them.

        Only the first ones get a hint: with 20,000 objects and 2,000 classes the comparisons would
        take minutes, and nobody reads that many.
        """
        if label not in self._hints and len(self._hints) < _MOST_HINTS:
            self._hints[label] = choices_hint(label, self.numbers)
        hint = self._hints.get(label, f"the list has {len(self.numbers)} names")
        return f"class '{label}' is not in the list; {hint}"


def check_annotations(
    annotations: Sequence[ImageAnnotation],
    labels: tuple[str, ...],
    problems: Problems,
    *,
    root: Path | None = None,
) -> list[Example | None]:
    """Turn annotations into examples.

    Boxes that stick out by at most a pixel are clipped; everything else that is invalid goes into
    `problems`.

    Args:
        annotations: as read.
        labels: the class names that are allowed, in class order.
        problems: collects what was left out.
        root: the data set's directory; images that links take from elsewhere are left out.

    Returns:
        An example for each annotation, None where the image can't be used.
    """
    index = ClassIndex(labels)
    headers = _read_headers([item.path for item in annotations], root)
    return [
        _check_image(annotation, header, index, problems)
        for annotation, header in zip(annotations, headers, strict=True)
    ]


def find_broken_images(
    examples: Iterable[Example], decode: Callable[[Path], np.ndarray]
) -> dict[Path, str]:
    """Decode every image and return what is wrong, by file, in the order of `examples`.

    Args:
        examples: images to look at; a file that is listed twice is decoded once.
        decode: returns the upright (H, W, 3) image or raises DatasetError.
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

    found = zip(unique, map_in_threads(look, list(unique.values())), strict=True)
    return {path: line for path, line in found if line is not None}


def _read_headers(paths: list[Path], root: Path | None) -> list[ImageHeader | ImageError]:
    boundary = Boundary(root) if root is not None else None
    return map_in_threads(lambda path: _try_header(path, boundary), paths)


def _try_header(path: Path, boundary: Boundary | None) -> ImageHeader | ImageError:
    refusal = boundary.refusal(path) if boundary is not None else None
    if refusal is not None:
        return ImageError(str(path), refusal, code="unreadable-image")
    try:
        return read_image_header(path)
    except ImageError as error:
        return error


def _check_image(
    annotation: ImageAnnotation,
    header: ImageHeader | ImageError,
    index: ClassIndex,
    problems: Problems,
) -> Example | None:
    if isinstance(header, ImageError):
        problems.add(header.code, annotation.source, str(header))
        return None
    stated = annotation.size_hw
    if stated not in (None, header.image_hw, header.raw_hw):
        actual = f"{annotation.path.name} has {_size(header.image_hw)}"
        what = f"size is stated as {_size(stated)}, but {actual}"
        problems.add("size-mismatch", annotation.source, what)
        return None
    # The file states the size before the EXIF rotation: the boxes were drawn on that image. Where
    # both sizes are the same (square, or not rotated by 90 degrees) nobody can tell, and nearly all
    # tools show images upright.
    drawn_on_raw = stated is not None and stated != header.image_hw
    frame_hw = header.raw_hw if drawn_on_raw else header.image_hw
    kept = _check_objects(annotation, frame_hw, index, problems)
    boxes = np.array([box for box, _, _ in kept], np.float32).reshape(-1, 4)
    return Example(
        image_id=annotation.image_id,
        path=annotation.path,
        image_hw=header.image_hw,
        boxes_px=header.boxes_upright(boxes) if drawn_on_raw else boxes,
        classes=np.array([label for _, label, _ in kept], np.int32),
        crowd=np.array([item.crowd for _, _, item in kept], bool),
        difficult=np.array([item.difficult for _, _, item in kept], bool),
    )


def _check_objects(
    annotation: ImageAnnotation,
    frame_hw: tuple[int, int],
    index: ClassIndex,
    problems: Problems,
) -> list[tuple[tuple[float, ...], int, ObjectAnnotation]]:
    """Return the usable objects, each with its box in pixels of the frame and its class."""
    kept: list[tuple[tuple[float, ...], int, ObjectAnnotation]] = []
    for item in annotation.objects:
        label = index.numbers.get(item.label)
        where = f"{annotation.source}, {item.name}"
        if label is None:
            problems.add("unknown-class", where, index.describe_unknown(item.label))
            continue
        box, flaw = _check_box(item, frame_hw, annotation.normalized)
        if flaw is not None:
            problems.add(flaw[0], where, flaw[1])
        if box is not None:
            kept.append((box, label, item))
    return kept


def _check_box(
    item: ObjectAnnotation, frame_hw: tuple[int, int], normalized: bool
) -> tuple[tuple[float, float, float, float] | None, tuple[Code, str] | None]:
    """Return a box in pixels, clipped to the image, and the code and words of its flaw; or None."""
    height, width = frame_hw
    ymin, xmin, ymax, xmax = item.yxyx
    if normalized:
        ymin, xmin, ymax, xmax = ymin * height, xmin * width, ymax * height, xmax * width
    for axis, low, high in (("x", xmin, xmax), ("y", ymin, ymax)):
        if high - low < _THINNEST_PX:
            code: Code = "inverted-box" if high < low else "zero-area-box"
            return None, (code, f"{axis}max ({high:g}) <= {axis}min ({low:g})")
    if xmin >= 0 and ymin >= 0 and xmax <= width and ymax <= height:
        return (ymin, xmin, ymax, xmax), None
    clipped = (max(ymin, 0.0), max(xmin, 0.0), min(ymax, height), min(xmax, width))
    inside = min(clipped[2] - clipped[0], clipped[3] - clipped[1]) >= _THINNEST_PX
    if inside and max(-xmin, -ymin, xmax - width, ymax - height) <= ROUNDING_PX:
        return clipped, None
    box = f"box xmin {xmin:g} ymin {ymin:g} xmax {xmax:g} ymax {ymax:g}"
    if inside:
        return clipped, ("box-sticks-out", f"{box} sticks out of the {_size(frame_hw)} image")
    return None, ("box-outside", f"{box} lies outside the {_size(frame_hw)} image")


def _size(image_hw: tuple[int, int] | None) -> str:
    return f"{image_hw[1]}x{image_hw[0]}" if image_hw else "nothing"
