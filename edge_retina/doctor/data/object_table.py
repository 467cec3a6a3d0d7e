"""All objects of a data set in arrays, so that a million of them can be checked in a moment."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from edge_retina.boxes.iou import area, overlapping_pairs
from edge_retina.datasets.annotation_table import AnnotationTable
from edge_retina.datasets.image_header import ImageHeader
from edge_retina.doctor.findings import SHOWN_CASES, Case, relative_name

log = logging.getLogger(__name__)

UNKNOWN_CLASS = -1
_MOST_COMPARED = 5000  # objects of a picture; every pair of them is looked at
# Pairs that are kept of an object. In real data few objects overlap so many others by an IoU that
# any check asks for; of 5,000 boxes on one place all pairs would take gigabytes.
_MOST_PARTNERS = 20


@dataclass(frozen=True)
class ObjectTable:
    """Objects as they stand in the files, crowds too; N of them.

    Attributes:
        images: the annotations they are from.
        root: of the data set, for names.
        labels: class names.
        image: (N,) index into `images`.
        number: (N,) index into the image's objects.
        stated: (N, 4) float64 yxyx as in the file.
        boxes_px: (N, 4) float64 yxyx in pixels of the picture they were drawn on.
        frame_hw: (N, 2) float64 height and width of that picture; NaN where it is unknown.
        normalized: (N,) bool, the file gives fractions.
        classes: (N,) indices into the labels, UNKNOWN_CLASS where the label is not among them.
        crowd: (N,) bool.
        difficult: (N,) bool.
    """

    images: AnnotationTable
    root: Path
    labels: tuple[str, ...]
    image: np.ndarray
    number: np.ndarray
    stated: np.ndarray
    boxes_px: np.ndarray
    frame_hw: np.ndarray
    normalized: np.ndarray
    classes: np.ndarray
    crowd: np.ndarray
    difficult: np.ndarray

    def __len__(self) -> int:
        return len(self.image)

    @cached_property
    def sides_px(self) -> np.ndarray:
        """(N, 2) heights and widths in pixels; negative where the box is inverted."""
        return self.boxes_px[:, 2:] - self.boxes_px[:, :2]

    @cached_property
    def sound(self) -> np.ndarray:
        """(N,) bool: has an area, lies at least partly in its picture, is no crowd."""
        inside = (self.boxes_px[:, 2:] > 0).all(axis=1)
        inside &= (self.boxes_px[:, :2] < self.frame_hw).all(axis=1)
        return (self.sides_px > 0).all(axis=1) & inside & ~self.crowd

    @cached_property
    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Sound objects of one image that overlap: (P, 2) indices into the table and (P,) IoU.

        Of an image with more than `_MOST_COMPARED` sound objects, only the first ones are compared.
        Of the objects before it, each has the `_MOST_PARTNERS` that it overlaps most.
        """
        members = np.flatnonzero(self.sound)
        first = np.flatnonzero(np.diff(self.image[members], prepend=-1))
        found, values = [np.zeros((0, 2), np.int64)], [np.zeros(0)]
        for group in np.split(members, first[1:]):
            if len(group) > _MOST_COMPARED:
                log.warning(
                    "%s: has %d objects; overlaps are looked for among the first %d",
                    relative_name(self.images[self.image[group[0]]].path, self.root),
                    len(group),
                    _MOST_COMPARED,
                )
                group = group[:_MOST_COMPARED]
            pairs, iou = overlapping_pairs(self.boxes_px[group], most_partners=_MOST_PARTNERS)
            found.append(group[pairs])
            values.append(iou)
        return np.concatenate(found), np.concatenate(values)

    def by_class(self, mask: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Yield each class that occurs in a mask (N,), and the indices of its objects."""
        chosen = np.flatnonzero(mask)
        yield from groups_of(self.classes[chosen], chosen)

    def cases(self, mask: np.ndarray, describe: Callable[[int], str]) -> list[Case]:
        """Return the first cases of a mask (N,), each with what `describe` says of its index."""
        return [self.case(int(i), describe(int(i))) for i in np.flatnonzero(mask)[:SHOWN_CASES]]

    def case(self, index: int, detail: str) -> Case:
        """Return where an object stands."""
        image = self.images[self.image[index]]
        item = image.objects[self.number[index]]
        source = image.source.replace(f"{self.root}{os.sep}", "")
        return Case(
            relative_name(image.path, self.root),
            f"{item.label}: {detail}",
            f"{source}, {item.name}",
        )

    def xyxy_text(self, index: int) -> str:
        """Return an object's box as people write it."""
        ymin, xmin, ymax, xmax = self.stated[index]
        return f"xmin {xmin:.5g}, ymin {ymin:.5g}, xmax {xmax:.5g}, ymax {ymax:.5g}"

    def coverage(self) -> np.ndarray:
        """Return the share (N,) of its picture that each box covers; NaN where unknown."""
        inside = np.clip(self.boxes_px, 0, np.tile(self.frame_hw, 2))
        return area(inside) / self.frame_hw.prod(axis=1)


def groups_of(keys: np.ndarray, values: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield each key that occurs, in ascending order, and the values that have it, in their order.

    Args:
        keys: (N,) whole numbers.
        values: (N, ...).
    """
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    first = np.flatnonzero(np.diff(ordered)) + 1
    if len(keys):
        for key, members in zip(
            ordered[np.r_[0, first]], np.split(values[order], first), strict=True
        ):
            yield int(key), members


def build_object_table(
    images: AnnotationTable,
    headers: Mapping[Path, ImageHeader],
    labels: tuple[str, ...],
    root: Path,
) -> ObjectTable:
    """Put the objects of annotations into a table.

    Args:
        images: annotations as read.
        headers: of the pictures that can be read.
        labels: class names.
        root: of the data set.
    """
    columns, rows = images.columns, images.rows
    index = {label: number for number, label in enumerate(labels)}
    known = np.array([index.get(label, UNKNOWN_CLASS) for label in columns.labels], np.int64)
    counts = images.counts()
    image = np.repeat(np.arange(len(images)), counts)
    objects = columns.objects(rows)
    frames = [
        _frame_hw(columns.stated_hw(row), headers.get(Path(columns.paths[row])))
        for row in rows.tolist()
    ]
    normalized = columns.normalized[rows][image]
    frame_hw = np.array(frames, np.float64).reshape(-1, 2)[image]
    stated = columns.yxyx[objects]
    scale = np.where(normalized[:, None], np.tile(frame_hw, 2), 1.0)
    return ObjectTable(
        images=images,
        root=root,
        labels=labels,
        image=image,
        number=objects - columns.borders[rows][image],
        stated=stated,
        boxes_px=stated * scale,
        frame_hw=frame_hw,
        normalized=normalized,
        classes=known[columns.label[objects]],
        crowd=columns.crowd[objects],
        difficult=columns.difficult[objects],
    )


def _frame_hw(stated: tuple[int, int] | None, header: ImageHeader | None) -> tuple[float, float]:
    """Return (height, width) of the picture that the boxes were drawn on, as the loader does."""
    if header is None:
        return stated or (np.nan, np.nan)
    return header.raw_hw if stated == header.raw_hw else header.image_hw
