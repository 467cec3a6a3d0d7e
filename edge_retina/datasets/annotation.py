"""What a reader found in annotation files, before it is checked against the images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_retina.datasets.problems import Problems

UNSPLIT = ""  # split name of images in a data set without splits


@dataclass(frozen=True, slots=True)  # slots: a data set may have millions of them
class ObjectAnnotation:
    """One object as the file states it.

    Attributes:
        name: how to find it in the file, e.g. "object 3" or "line 7".
        label: its class name.
        yxyx: ymin xmin ymax xmax in pixels, or as fractions of the image if it is `normalized`.
        crowd: a region of many objects.
        difficult: a single object that no detector is expected to find (Pascal VOC's flag).
    """

    name: str
    label: str
    yxyx: tuple[float, float, float, float]
    crowd: bool = False
    difficult: bool = False


@dataclass(frozen=True, slots=True)
class ImageAnnotation:
    """One image as the file states it.

    Attributes:
        image_id: see `schema.Example`.
        path: where the image should be.
        source: the annotation file (and the place in it), for messages.
        objects: its objects, in the order of the file.
        size_hw: the (height, width) that the file states, or None.
        normalized: boxes are fractions of the image's sides instead of pixels.
    """

    image_id: str
    path: Path
    source: str
    objects: tuple[ObjectAnnotation, ...]
    size_hw: tuple[int, int] | None = None
    normalized: bool = False


@dataclass(frozen=True)
class AnnotatedSplits:
    """What a reader returns.

    Attributes:
        labels: class names in order.
        splits: images by split name: lists, or tables (`annotation_table`), which take less memory.
        class_ids: the files' own number for each label; empty in layouts without (all but COCO).
    """

    labels: tuple[str, ...]
    splits: Mapping[str, Sequence[ImageAnnotation]]
    class_ids: tuple[int, ...] = ()


def parse_number(text: object) -> float | None:
    """Return `text` as a finite float, or None when it isn't one."""
    try:
        value = float(text)  # type: ignore[arg-type]  # anything a JSON or XML field can hold
    except (TypeError, ValueError, OverflowError):
        return None
    return value if abs(value) < 1e9 else None  # also false for nan and inf


def parse_size(
    height: object, width: object, *, where: str, problems: Problems
) -> tuple[int, int] | None:
    """Return (height, width) in pixels, or None where the file states none.

    0 counts as none, and is noted in `problems`: some labelling tools write it when they can't read
    the image.

    Args:
        height: as in the file, of any type; None if it is missing.
        width: likewise.
        where: the place, for the note.
        problems: takes the note.
    """
    sides = parse_number(height), parse_number(width)
    if sides[0] is None or sides[1] is None:
        return None
    if min(sides[0], sides[1]) < 1:
        what = f"size is stated as {sides[1]:g}x{sides[0]:g}, so the image's own size is used"
        problems.note("zero-image-size", where, what)
        return None
    return int(sides[0]), int(sides[1])
