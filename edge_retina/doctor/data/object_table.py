"""All objects of a data set in arrays, so that a million of them can be checked in a moment."""

from __future__ import annotations

import dataclasses
import itertools
import logging
import os
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from edge_retina.boxes.iou import area, overlapping_pairs
from edge_retina.datasets.annotation_table import AnnotationTable
from edge_retina.datasets.columns import as_array
from edge_retina.datasets.image_header import ImageHeader
from edge_retina.doctor.data.picture_table import PictureTable
from edge_retina.doctor.findings import SHOWN_CASES, Case, relative_name

log = logging.getLogger(__name__)

UNKNOWN_CLASS = -1
_MOST_COMPARED = 5000  # objects of a picture; every pair of them is looked at
# Pairs that are kept of an object. In real data few objects overlap so many others by an IoU that
# any check asks for; of 5,000 boxes on one place all pairs would take gigabytes.
_MOST_PARTNERS = 20
_BLOCK = 1 << 16  # objects of a table that are tested at a time


@dataclass(frozen=True)
class ObjectTable:
    """Objects as they stand in the files, crowds too; N of them.

    Attributes:
        images: the annotations they are from; I of them.
        root: of the data set, for names.
        labels: class names.
        frames_hw: (I, 2) float64 height and width of the picture that boxes were drawn on; NaN
            where it is unknown.
        fractions: (I,) bool, the file gives fractions.
        image: (N,) int32, index into `images`.
        object: (N,) int32, index into the objects of the annotations' columns.
        stated: (N, 4) float64 yxyx as in the file.
        boxes_px: (N, 4) float64 yxyx in pixels of the picture they were drawn on.
        classes: (N,) indices into the labels, UNKNOWN_CLASS where the label is not among them.
        crowd: (N,) bool.
        difficult: (N,) bool.
    """

    images: AnnotationTable
    root: Path
    labels: tuple[str, ...]
    frames_hw: np.ndarray
    fractions: np.ndarray
    image: np.ndarray
    object: np.ndarray
    stated: np.ndarray
    boxes_px: np.ndarray
    classes: np.ndarray
    crowd: np.ndarray
    difficult: np.ndarray

    def __len__(self) -> int:
        return len(self.image)

    @property
    def frame_hw(self) -> np.ndarray:
        """(N, 2) float64 height and width of each object's picture."""
        return np.asarray(self.frames_hw[self.image])

    @property
    def normalized(self) -> np.ndarray:
        """(N,) bool, the file gives fractions."""
        return np.asarray(self.fractions[self.image])

    @property
    def sides_px(self) -> np.ndarray:
        """(N, 2) heights and widths in pixels; negative where the box is inverted."""
        return np.asarray(self.boxes_px[:, 2:] - self.boxes_px[:, :2])

    @cached_property
    def sound(self) -> np.ndarray:
        """(N,) bool: has an area, lies at least partly in its picture, is no crowd."""
        return self.mask(_is_sound)

    def mask(self, test: Callable[[ObjectTable], Any]) -> np.ndarray:
        """Return what a test says of each object, (N,) bool.

        The test gets a table of some objects at a time: what it computes of a million would take
        more memory than the table.
        """
        found = np.zeros(len(self), bool)
        for start in range(0, len(self), _BLOCK):
            part = slice(start, start + _BLOCK)
            columns = ("image", "object", "stated", "boxes_px", "classes", "crowd", "difficult")
            some = {name: getattr(self, name)[part] for name in columns}
            found[part] = test(dataclasses.replace(self, **some))
        return found

    @cached_property
    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Sound objects of one image that overlap: (P, 2) indices into the table and (P,) IoU.

        Of an image with more than `_MOST_COMPARED` sound objects, only the first ones are compared.
        Of the objects before it, each has the `_MOST_PARTNERS` that it overlaps most.
        """
        members = np.flatnonzero(self.sound)
        first = np.flatnonzero(np.diff(self.image[members], prepend=-1))
        found, values = array("i"), array("d")
        for start, stop in itertools.pairwise([*first.tolist(), len(members)]):
            group = members[start:stop]
            if len(group) > _MOST_COMPARED:
                log.warning(
                    "%s: has %d objects; overlaps are looked for among the first %d",
                    relative_name(self.images[int(self.image[group[0]])].path, self.root),
                    len(group),
                    _MOST_COMPARED,
                )
                group = group[:_MOST_COMPARED]
            pairs, iou = overlapping_pairs(self.boxes_px[group], most_partners=_MOST_PARTNERS)
            found.frombytes(group[pairs].astype(np.int32).tobytes())
            values.frombytes(iou.astype(np.float64).tobytes())
        return as_array(found, np.int32).reshape(-1, 2), as_array(values, np.float64)

    def by_class(self, mask: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Yield each class that occurs in a mask (N,), and the indices of its objects."""
        chosen = np.flatnonzero(mask)
        yield from groups_of(self.classes[chosen], chosen)

    def cases(self, mask: np.ndarray, describe: Callable[[int], str]) -> list[Case]:
        """Return the first cases of a mask (N,), each with what `describe` says of its index."""
        return [self.case(int(i), describe(int(i))) for i in np.flatnonzero(mask)[:SHOWN_CASES]]

    def case(self, index: int, detail: str) -> Case:
        """Return where an object stands."""
        columns, row = self.images.columns, int(self.images.rows[self.image[index]])
        item = columns.object(int(self.object[index]))
        source = columns.sources[row].replace(f"{self.root}{os.sep}", "")
        return Case(
            relative_name(Path(columns.paths[row]), self.root),
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
    picture_of: np.ndarray,
    pictures: PictureTable,
    labels: tuple[str, ...],
    root: Path,
) -> ObjectTable:
    """Put the objects of annotations into a table.

    Args:
        images: annotations as read.
        picture_of: (I,) the row of each one's picture.
        pictures: what was seen of them.
        labels: class names.
        root: of the data set.
    """
    columns, rows = images.columns, images.rows
    index = {label: number for number, label in enumerate(labels)}
    known = np.array([index.get(label, UNKNOWN_CLASS) for label in columns.labels], np.int32)
    image = np.repeat(np.arange(len(images), dtype=np.int32), images.counts())
    frames_hw = np.array(
        [
            _frame_hw(columns.stated_hw(row), pictures.header(picture))
            for row, picture in zip(rows.tolist(), picture_of.tolist(), strict=True)
        ],
        np.float64,
    ).reshape(-1, 2)
    objects = columns.objects(rows).astype(np.int32)
    stated, crowd, difficult = columns.yxyx, columns.crowd, columns.difficult
    if not np.array_equal(objects, np.arange(len(stated))):  # else they need not be copied
        stated, crowd, difficult = stated[objects], crowd[objects], difficult[objects]
    fractions, boxes_px = columns.normalized[rows], stated
    if fractions.any():
        boxes_px = stated * np.where(fractions[:, None], np.tile(frames_hw, 2), 1.0)[image]
    return ObjectTable(
        images=images,
        root=root,
        labels=labels,
        frames_hw=frames_hw,
        fractions=fractions,
        image=image,
        object=objects,
        stated=stated,
        boxes_px=boxes_px,
        classes=known[columns.label[objects]],
        crowd=crowd,
        difficult=difficult,
    )


def _is_sound(table: ObjectTable) -> np.ndarray:
    inside = (table.boxes_px[:, 2:] > 0).all(axis=1)
    inside &= (table.boxes_px[:, :2] < table.frame_hw).all(axis=1)
    return np.asarray((table.sides_px > 0).all(axis=1) & inside & ~table.crowd)


def _frame_hw(stated: tuple[int, int] | None, header: ImageHeader | None) -> tuple[float, float]:
    """Return (height, width) of the picture that the boxes were drawn on, as the loader does."""
    if header is None:
        return stated or (np.nan, np.nan)
    return header.raw_hw if stated == header.raw_hw else header.image_hw
