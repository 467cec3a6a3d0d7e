"""What a COCO file holds, in columns: as parsed JSON a million objects would take gigabytes."""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edge_retina.datasets.annotation import parse_number
from edge_retina.datasets.annotation_table import ObjectsRead
from edge_retina.datasets.boundary import Boundary
from edge_retina.datasets.columns import as_array
from edge_retina.datasets.image_files import read_text
from edge_retina.datasets.json_pieces import NotInPieces, read_pieces
from edge_retina.datasets.text_column import TextColumn, TextColumnBuilder
from edge_retina.errors import DatasetError

PARTS = ("images", "annotations", "categories")
_LONGEST_NAME = 4096  # characters of a file name; no system has a longer path
_LARGEST_ID = 2**63  # ids are 64-bit numbers to every tool
_IDS = (int, str)


def load_coco_file(path: Path, *, boundary: Boundary | None = None) -> CocoFile:
    """Parse one annotation file.

    Args:
        path: the file.
        boundary: of the data set; None for a file that the user named.

    Raises:
        DatasetError: malformed JSON.
    """
    if boundary is not None:
        boundary.check(path)
    content = CocoFile(path)
    try:
        content.lists = read_pieces(path, content.takers(), object_hook=_without_outlines)
        return content
    except NotInPieces:
        pass  # and forget what was read so far
    return _load_whole(path, boundary)


def _load_whole(path: Path, boundary: Boundary | None) -> CocoFile:
    """Parse a file that is malformed, for the message, or that is valid but unusual."""
    try:
        tree = json.loads(read_text(path, boundary=boundary), object_hook=_without_outlines)
    except (ValueError, RecursionError) as error:  # ValueError also for numbers of 5,000 digits
        raise DatasetError(f"{path}: malformed JSON ({error}); fix the file") from None
    content = CocoFile(path)
    for key, take in content.takers().items():
        if isinstance(tree, dict) and key in tree:
            content.lists[key] = isinstance(tree[key], list)
            for item in tree[key] if content.lists[key] else ():
                take(item)
    return content


def _without_outlines(tree: dict[str, Any]) -> dict[str, Any]:
    """Drop what no box needs: messages would quote it."""
    if "bbox" in tree:
        tree.pop("segmentation", None)
        tree.pop("area", None)
    return tree


class CocoFile:
    """The content of a file; nothing is known of how its parts fit together.

    Annotations that are as they should be stand in columns, all others as they were parsed.

    Attributes:
        path: the file.
        lists: by part that occurs, whether it is a list.
        categories: as parsed.
        has_boxes: an annotation has a `bbox`.
        image_flaw: what is wrong with the first image that can't be read; "" if there is none.
        image_ids: the number of each id of an image that occurs, in images or in annotations.
        odd: annotations by their place, from 0, that need a closer look.
        objects: all annotations; those that are odd hold a place.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lists: dict[str, bool] = {}
        self.categories: list[Any] = []
        self.has_boxes = False
        self.image_flaw = ""
        self.image_ids: dict[int | str, int] = {}
        self.odd: dict[int, Any] = {}
        self._ids: tuple[int | str, ...] = ()  # the keys of `image_ids`, once they are needed
        self._place = array("i")  # by number of an id, the place of its image; -1 if there is none
        self._image = array("i")  # by image, the number of its id
        self._file_names, self._sides = TextColumnBuilder(), array("d")
        self._category_ids: dict[int | str, int] = {}
        self.objects = ObjectsRead("annotation")
        self._image_of, self._category_of = array("i"), array("i")  # by annotation

    def takers(self) -> dict[str, Callable[[Any], None]]:
        """Return what takes the elements of each part."""
        takers = (self._take_image, self._take_annotation, self.categories.append)
        return dict(zip(PARTS, takers, strict=True))

    @property
    def has_parts(self) -> bool:
        """All parts are there, as lists."""
        return all(self.lists.get(part) for part in PARTS)

    @property
    def is_of_instances(self) -> bool:
        """It is a file of boxes; with keypoints or captions alone it isn't."""
        return self.has_parts and (self.has_boxes or not (self._image_of or self.odd))

    def place_of(self, image_id: object) -> int:
        """Return the place of an image in the list of images; -1 if it isn't there."""
        number = self.image_ids.get(image_id, -1) if isinstance(image_id, (int, str)) else -1
        return self._place[number] if number >= 0 else -1

    def _number(self, image_id: int | str) -> int:
        number = self.image_ids.setdefault(image_id, len(self.image_ids))
        if number == len(self._place):
            self._place.append(-1)
        return number

    def _take_image(self, image: Any) -> None:
        if self.image_flaw:
            return  # the first one is told
        where = f"{self.path}, image {len(self._image) + 1}"
        if not isinstance(image, dict) or not is_id(image.get("id")) or not image.get("file_name"):
            self.image_flaw = f"{where}: got {image!r}, expected an id and a file_name"
            return
        number, name = self._number(image["id"]), str(image["file_name"])
        if self._place[number] >= 0:
            self.image_flaw = f"{where}: id {image['id']!r} is duplicated"
            return
        if len(name) > _LONGEST_NAME:  # every problem of a box would quote it
            self.image_flaw = (
                f"{where}: file_name has {len(name)} characters, but no path has more than "
                f"{_LONGEST_NAME}; write the file's name"
            )
            return
        self._place[number] = len(self._image)
        self._image.append(number)
        self._file_names.append(name)
        for key in ("height", "width"):
            side = parse_number(image.get(key))
            self._sides.append(math.nan if side is None else side)

    def _take_annotation(self, item: Any) -> None:
        if not isinstance(item, dict):
            self._take_odd(item)
            return
        image_id: Any = item.get("image_id")
        category: Any = item.get("category_id")
        bbox = item.get("bbox")
        self.has_boxes = self.has_boxes or "bbox" in item
        # Not `isinstance`: True is a whole number too, and an id that a message must quote.
        yxyx = read_bbox(bbox) if type(image_id) in _IDS and type(category) in _IDS else None
        if yxyx is None:
            self._take_odd(item)
            return
        self._image_of.append(self._number(image_id))
        ids = self._category_ids
        self._category_of.append(ids.setdefault(category, len(ids)))
        name = item.get("id", len(self._image_of))
        if type(name) is not int or not 0 <= name < _LARGEST_ID:
            name = f"annotation {name}"
        crowd, difficult = flags_of(item)
        self.objects.append(name, yxyx, crowd=crowd, difficult=difficult)

    def _take_odd(self, item: Any) -> None:
        self.odd[len(self._image_of)] = item
        self._image_of.append(-1)
        self._category_of.append(-1)
        self.objects.append(0, (0.0, 0.0, 0.0, 0.0))

    def put(
        self, number: int, item: dict[str, Any], name: str, yxyx: tuple[float, float, float, float]
    ) -> None:
        """Set what an odd annotation says after all."""
        objects = self.objects
        objects.yxyx[4 * number : 4 * number + 4] = array("d", yxyx)
        objects.crowd[number], objects.difficult[number] = flags_of(item)
        objects.names.others[number] = name

    def image_id_at(self, number: int) -> int | str:
        """Return the id of the image of an annotation that is not odd."""
        if not self._ids:
            self._ids = tuple(self.image_ids)
        return self._ids[self._image_of[number]]

    def file_names(self) -> TextColumn:
        """Return the file name of each image."""
        return self._file_names.finish()

    def stated_sides(self) -> list[array]:
        """Return the heights and the widths of the images, NaN where the file states none."""
        return [self._sides[side::2] for side in (0, 1)]

    def images_of_objects(self) -> np.ndarray:
        """Return the place of each annotation's image, (M,) int32; -1 if unknown, or it is odd."""
        place = np.append(as_array(self._place, np.int32), np.int32(-1))
        return np.asarray(place[as_array(self._image_of, np.int32)])

    def categories_of_objects(self) -> tuple[np.ndarray, tuple[int | str, ...]]:
        """Return the index of each annotation's category, (M,) int32, and the categories' ids.

        The index is -1 if the annotation is odd.
        """
        return as_array(self._category_of, np.int32), tuple(self._category_ids)

    def forget(self) -> None:
        """Free the memory of all but the objects, once they have their images."""
        objects = self.objects
        self.__dict__.update(CocoFile(self.path).__dict__)
        self.objects = objects


def is_id(value: object) -> bool:
    """Whether a value can be the id of an image or a category."""
    return isinstance(value, (int, str))


def read_bbox(bbox: object) -> tuple[float, float, float, float] | None:
    """Return a box as yxyx; None if it isn't the numbers x, y, width and height."""
    if not isinstance(bbox, list) or len(bbox) != 4:
        return None
    x, y, width, height = map(parse_number, bbox)
    if x is None or y is None or width is None or height is None:
        return None
    return y, x, y + height, x + width


def flags_of(item: dict[str, Any]) -> tuple[bool, bool]:
    """Return whether an annotation is a crowd, and whether it is a difficult object."""
    crowd = bool(item.get("iscrowd"))
    return crowd, bool(item.get("ignore")) and not crowd
