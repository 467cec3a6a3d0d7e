"""Annotations checked against their images: sizes, box limits, classes, broken files."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from edge_retina.datasets.annotation import ImageAnnotation, ObjectAnnotation
from edge_retina.datasets.annotation_table import AnnotationColumns
from edge_retina.datasets.boundary import Boundary
from edge_retina.datasets.example_table import ExampleTableBuilder
from edge_retina.datasets.image_header import ImageHeader, read_image_header
from edge_retina.datasets.problems import Code, Problems
from edge_retina.datasets.schema import Example
from edge_retina.datasets.threads import each_in_threads
from edge_retina.errors import DatasetError, ImageError, choices_hint

# Annotation tools round to whole pixels, so a box may stick out by one.
ROUNDING_PX = 1.0
# Boxes are kept to 0.01 px; a thinner one has no area, and none in float32 on the largest images.
_THINNEST_PX = 0.005
_BLOCK = 2048  # images that are checked together
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
    columns: AnnotationColumns,
    rows: np.ndarray,
    labels: tuple[str, ...],
    problems: Problems,
    *,
    root: Path,
    examples: ExampleTableBuilder,
) -> np.ndarray:
    """Turn annotations into examples.

    Boxes that stick out by at most a pixel are clipped; everything else that is invalid goes into
    `problems`.

    Args:
        columns: annotations as read.
        rows: (N,) which of them.
        labels: the class names that are allowed, in class order.
        problems: collects what was left out.
        root: the data set's directory; images that links take from elsewhere are left out.
        examples: gets the usable ones.

    Returns:
        (N,) int32, the number of each annotation's example; -1 where the image can't be used.
    """
    index = ClassIndex(labels)
    known = np.array([index.numbers.get(label, -1) for label in columns.labels], np.int32)
    boundary = Boundary(root)
    headers = each_in_threads(
        lambda place: _try_header(columns.paths[rows[place]], boundary), range(len(rows))
    )
    numbers = [np.zeros(0, np.int32)]
    for start in range(0, len(rows), _BLOCK):
        part = rows[start : start + _BLOCK]
        block = _Block(columns, part, list(itertools.islice(headers, len(part))), known)
        block.check(index, problems)
        numbers.append(np.where(block.usable, len(examples) + np.cumsum(block.usable) - 1, -1))
        block.move_to(examples)
    return np.concatenate(numbers).astype(np.int32)


def find_broken_images(
    examples: Iterable[Example], decode: Callable[[Path], np.ndarray]
) -> dict[Path, str]:
    """Decode every image and return what is wrong, by file, in the order of `examples`.

    Args:
        examples: images to look at; a file that is listed twice is decoded once.
        decode: returns the upright (H, W, 3) image or raises DatasetError.
    """
    unique = {str(example.path): example.image_hw for example in examples}
    paths = list(unique)

    def look(text: str) -> str | None:
        path, stated = Path(text), unique[text]
        try:
            shape = decode(path).shape
        except DatasetError as error:
            return str(error)
        if shape[:2] != stated:
            return f"{path}: decodes to {shape[:2]}, its header says {stated}"
        return None

    found = zip(paths, each_in_threads(look, paths), strict=True)
    return {Path(path): line for path, line in found if line is not None}


def _try_header(path: str, boundary: Boundary) -> ImageHeader | ImageError:
    refusal = boundary.refusal(path)
    if refusal is not None:
        return ImageError(path, refusal, code="unreadable-image")
    try:
        return read_image_header(path)
    except ImageError as error:
        return error


class _Block:
    """Some annotations that are checked together.

    What is sound, as nearly all is, is told at once for all of their objects. Only images that
    are not sound are gone through, object by object.

    Attributes:
        usable: (N,) bool, the image can be used.
    """

    def __init__(
        self,
        columns: AnnotationColumns,
        rows: np.ndarray,
        headers: Sequence[ImageHeader | ImageError],
        known: np.ndarray,
    ) -> None:
        """Take annotations.

        Args:
            columns: as read.
            rows: (N,) which of them.
            headers: of their images, or what is wrong with these.
            known: the index in the class list of each of the columns' labels; -1 if it isn't there.
        """
        self._columns, self._rows, self._headers = columns, rows, headers
        frames = [_frame(columns.stated_hw(row), h) for row, h in zip(rows, headers, strict=True)]
        self._frames_hw = np.array([frame or (0, 0) for frame in frames], np.float64).reshape(-1, 2)
        self.usable = np.array([frame is not None for frame in frames], bool)
        counts = np.diff(columns.borders)[rows]
        self._borders = np.concatenate([[0], np.cumsum(counts)])  # of each image's objects here
        self._objects = columns.objects(rows)
        sides_px = np.repeat(np.tile(self._frames_hw, 2), counts, axis=0)
        normalized = columns.normalized[rows].repeat(counts)
        yxyx = columns.yxyx[self._objects]
        yxyx = np.where(normalized[:, None], yxyx * sides_px, yxyx)
        self._boxes_px = yxyx.astype(np.float32)
        self._classes = known[columns.label[self._objects]]
        sound = self._classes >= 0
        sound &= (yxyx[:, 2:] - yxyx[:, :2] >= _THINNEST_PX).all(axis=1)
        sound &= (yxyx[:, :2] >= 0).all(axis=1) & (yxyx[:, 2:] <= sides_px[:, 2:]).all(axis=1)
        self._kept = sound & self.usable.repeat(counts)
        flawed = np.repeat(np.arange(len(rows)), counts)[~sound]
        self._is_sound = np.bincount(flawed, minlength=len(rows)) == 0

    def check(self, index: ClassIndex, problems: Problems) -> None:
        """Go through the images that are not sound, in their order."""
        for place, header in enumerate(self._headers):
            if isinstance(header, ImageError):
                source = self._columns.sources[self._rows[place]]
                problems.add(header.code, source, str(header))
                continue
            if not self.usable[place]:
                annotation = self._columns.image(self._rows[place])
                actual = f"{annotation.path.name} has {_size(header.image_hw)}"
                what = f"size is stated as {_size(annotation.size_hw)}, but {actual}"
                problems.add("size-mismatch", annotation.source, what)
                continue
            part = slice(self._borders[place], self._borders[place + 1])
            if not self._is_sound[place]:
                self._check_objects(place, part, index, problems)
            if tuple(self._frames_hw[place]) != header.image_hw:
                self._boxes_px[part] = header.boxes_upright(self._boxes_px[part])

    def _check_objects(
        self, place: int, part: slice, index: ClassIndex, problems: Problems
    ) -> None:
        annotation = self._columns.image(self._rows[place])
        height, width = self._frames_hw[place].tolist()
        frame_hw = int(height), int(width)
        found = _check_objects(annotation, frame_hw, index, problems)
        self._kept[part] = [box is not None for box in found]
        for number, box in enumerate(found, part.start):
            if box is not None:
                self._boxes_px[number] = box

    def move_to(self, examples: ExampleTableBuilder) -> None:
        """Add the usable images with the objects that are kept."""
        columns, rows = self._columns, self._rows[self.usable]
        sizes = [
            header.image_hw
            for header, usable in zip(self._headers, self.usable, strict=True)
            if usable and isinstance(header, ImageHeader)
        ]
        ends = np.concatenate([[0], np.cumsum(self._kept)])
        counts = ends[self._borders[1:]] - ends[self._borders[:-1]]
        kept = self._objects[self._kept]
        examples.extend(
            columns.image_ids.take(rows),
            columns.paths.take(rows),
            np.array(sizes, np.int32).reshape(-1, 2),
            counts[self.usable],
            boxes_px=self._boxes_px[self._kept],
            classes=self._classes[self._kept],
            crowd=columns.crowd[kept],
            difficult=columns.difficult[kept],
        )


def _frame(
    stated: tuple[int, int] | None, header: ImageHeader | ImageError
) -> tuple[int, int] | None:
    """Return (height, width) of the picture that boxes were drawn on; None if it can't be used.

    The file may state the size before the EXIF rotation: then the boxes were drawn on that image.
    Where both sizes are the same (square, or not rotated by 90 degrees) nobody can tell, and nearly
    all tools show images upright.
    """
    if isinstance(header, ImageError) or stated not in (None, header.image_hw, header.raw_hw):
        return None
    return stated or header.image_hw


def _check_objects(
    annotation: ImageAnnotation,
    frame_hw: tuple[int, int],
    index: ClassIndex,
    problems: Problems,
) -> list[tuple[float, float, float, float] | None]:
    """Return the box of each object in pixels of the frame; None where it can't be used."""
    found: list[tuple[float, float, float, float] | None] = []
    for item in annotation.objects:
        where = f"{annotation.source}, {item.name}"
        box = None
        if item.label in index.numbers:
            box, flaw = _check_box(item, frame_hw, annotation.normalized)
            if flaw is not None:
                problems.add(flaw[0], where, flaw[1])
        else:
            problems.add("unknown-class", where, index.describe_unknown(item.label))
        found.append(box)
    return found


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
