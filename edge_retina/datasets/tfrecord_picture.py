"""One picture of a TFRecord: an Example with its encoded picture, its name and its objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edge_retina.datasets.annotation import (
    ImageAnnotation,
    ObjectAnnotation,
    parse_size,
)
from edge_retina.datasets.image_files import IMAGE_SUFFIXES
from edge_retina.datasets.pillow import identify
from edge_retina.datasets.problems import Problems
from edge_retina.datasets.tf_example import (
    Buffer,
    Feature,
    MalformedExample,
    Span,
    feature_names,
    parse_example,
)
from edge_retina.datasets.tfrecord_file import Record
from edge_retina.errors import DatasetError
from edge_retina.stored_files import containing_file, stored_path

_ENCODED, _FORMAT = b"image/encoded", b"image/format"
_NAMES = (b"image/filename", b"image/source_id")
_HEIGHT, _WIDTH = b"image/height", b"image/width"
_SIDES = tuple(b"image/object/bbox/" + side for side in (b"ymin", b"xmin", b"ymax", b"xmax"))
_TEXT, _NUMBER = b"image/object/class/text", b"image/object/class/label"
_CROWD, _DIFFICULT = b"image/object/is_crowd", b"image/object/difficult"
_WANTED = frozenset(
    (_ENCODED, _FORMAT, *_NAMES, _HEIGHT, _WIDTH, *_SIDES, _TEXT, _NUMBER, _CROWD, _DIFFICULT)
)
_NOTHING = Feature()
# Fractions in float32 hide which number of pixels was meant. Where one with three decimals is as
# near as float32 can tell, it is taken: whole pixels and hundredths come back exactly as they were.
# The error is half a step of the pixels' float32, and half a step of the fraction's.
_DECIMALS, _RELATIVE_ERROR = 3, 2.0**-23
_LONGEST_NAME, _LONGEST_PART = 1000, 250  # bytes; file systems take 4096 and 255
_LARGEST = 1e9  # of a side; what is larger is taken for no number, as in other layouts
_LONGEST_TEXT = 1000  # bytes of a class name
_SUFFIXES = {"JPEG": ".jpg", "JPG": ".jpg", "TIFF": ".tif"}  # other formats are called like theirs

Features = dict[bytes, Feature]


@dataclass(frozen=True)
class Classes:
    """What the files beside the shards say about classes.

    Attributes:
        labels: in order; empty if all that occur are the classes.
        by_number: labels by `class/label`; None if nothing says what numbers mean.
        aliases: labels by other texts that stand for them.
    """

    labels: tuple[str, ...] = ()
    by_number: Mapping[int, str] | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)


class PictureReader:
    """Turns records into annotations.

    Attributes:
        used: class names that occurred.
    """

    def __init__(self, classes: Classes, problems: Problems, *, root: Path) -> None:
        """Take what all records share.

        Args:
            classes: of the data set.
            problems: collects objects that were left out.
            root: of the data set, for messages.
        """
        self.used: set[str] = set()
        self._classes = classes
        self._problems = problems
        self._root = root
        self._texts: dict[bytes, str] = {}  # each class name once

    def read(
        self, buffer: Buffer, record: Record, *, shard: Path, where: str, number: int
    ) -> ImageAnnotation:
        """Return the annotation of a record. The picture is not looked at.

        Args:
            buffer: the shard's content.
            record: where the Example is.
            shard: the file.
            where: file and record, for messages.
            number: of the picture in its split, for one without a name.

        Raises:
            MalformedExample: the record is no Example with one picture.
            DatasetError: it has class numbers, and nothing says what they mean.
        """
        features = parse_example(buffer, record.start, record.stop, _WANTED)
        pictures = features.get(_ENCODED, _NOTHING).spans
        if len(pictures) != 1:
            names = feature_names(buffer, record.start, record.stop)
            shown = ", ".join(names[:12]) + (" ..." if len(names) > 12 else "")
            raise MalformedExample(
                f"has {len(pictures)} pictures in image/encoded, expected one; its features are: "
                f"{shown or 'none'}"
            )
        ((start, stop),) = pictures
        name = _image_name(buffer, features, start, number)
        size = (features.get(key, _NOTHING).ints for key in (_HEIGHT, _WIDTH))
        height, width = (values[0] if values else None for values in size)
        size_hw = parse_size(height, width, where=where, problems=self._problems)
        return ImageAnnotation(
            image_id=name,
            path=stored_path(shard, start, stop - start, name),
            source=where,
            objects=self._objects(buffer, features, size_hw, where),
            size_hw=size_hw,
            normalized=size_hw is None,
        )

    def _objects(
        self, buffer: Buffer, features: Features, size_hw: tuple[int, int] | None, where: str
    ) -> tuple[ObjectAnnotation, ...]:
        """Return the objects; boxes in pixels of the stated size, as fractions if there is none."""
        sides = [features.get(side, _NOTHING).floats for side in _SIDES]
        texts = features.get(_TEXT, _NOTHING).spans
        numbers = features.get(_NUMBER, _NOTHING).ints
        crowd = features.get(_CROWD, _NOTHING).ints
        difficult = features.get(_DIFFICULT, _NOTHING).ints
        count = len(sides[0])
        _check_lengths(
            count,
            dict(zip(_SIDES, sides, strict=True)),
            {_TEXT: texts, _NUMBER: numbers, _CROWD: crowd, _DIFFICULT: difficult},
        )
        objects = []
        for index, box in enumerate(_boxes(sides, size_hw)):
            name = f"object {index + 1}"
            if not all(abs(side) < _LARGEST for side in box):  # nor is NaN
                what = "a side of its box is not a number"
                self._problems.add("malformed-annotation", f"{where}, {name}", what)
                continue
            text = self._text(buffer, texts[index]) if texts else ""
            label = self._label(text, numbers[index] if numbers else None, f"{where}, {name}")
            if label:
                flags = (bool(flag and flag[index]) for flag in (crowd, difficult))
                objects.append(ObjectAnnotation(name, label, box, *flags))
        return tuple(objects)

    def _label(self, text: str, number: int | None, where: str) -> str:
        """Return a class name by its text, else by its number; "" where there is a problem."""
        label = text
        if not label and number is not None:
            if self._classes.by_number is None:
                raise DatasetError(
                    f"{where}: has a number as its class ({number}) and no text, and nothing says "
                    "what numbers mean; put labels.txt (a class name a line, that of number 1 "
                    f"first) or label_map.pbtxt into {self._root}"
                )
            label = self._classes.by_number.get(number, "")
            if not label:
                known = ", ".join(f"{n} {name}" for n, name in self._classes.by_number.items())
                what = f"class number {number} is not in the list; allowed: {known}"
                self._problems.add("unknown-class", where, what)
                return ""
        if not label:
            self._problems.add("missing-class", where, "has no class name")
            return ""
        self.used.add(label)
        return label

    def _text(self, buffer: Buffer, span: Span) -> str:
        start, stop = span
        data = buffer[start : min(stop, start + _LONGEST_TEXT)]
        text = self._texts.get(data)
        if text is None:
            text = data.decode("utf-8", "replace").strip()
            text = self._classes.aliases.get(text, text)
            self._texts[data] = text
        return text


def _check_lengths(
    count: int, needed: Mapping[bytes, list[float]], optional: Mapping[bytes, list]
) -> None:
    """Refuse lists of different lengths; an optional one may be missing.

    Raises:
        MalformedExample: nobody can say which value belongs to which object.
    """
    lengths = {key: len(values) for key, values in needed.items()}
    lengths |= {key: len(values) for key, values in optional.items() if values}
    wrong = next((key for key, length in lengths.items() if length != count), None)
    if wrong is not None:
        raise MalformedExample(
            f"has {count} values in {_SIDES[0].decode()}, but {lengths[wrong]} in {wrong.decode()}"
        )


def _boxes(
    sides: list[list[float]], size_hw: tuple[int, int] | None
) -> list[tuple[float, float, float, float]]:
    """Return yxyx boxes in pixels, as fractions if the size is unknown; some may have no numbers.

    Args:
        sides: ymin, xmin, ymax and xmax of each as fractions.
        size_hw: height and width of the picture, or None.
    """
    if not sides[0]:
        return []
    boxes = np.array(sides).T
    if size_hw is not None:
        with np.errstate(invalid="ignore"):
            boxes *= (*size_hw, *size_hw)
            short = boxes.round(_DECIMALS)
            near = np.abs(short - boxes) <= np.abs(boxes) * _RELATIVE_ERROR
        boxes = np.where(near, short, boxes)
    return [tuple(box) for box in boxes.tolist()]


def _image_name(buffer: Buffer, features: Features, picture: int, number: int) -> str:
    """Return a picture's name as a path that leads nowhere else, with a suffix.

    Files from elsewhere may hold absolute paths, numbers, or nothing.
    """
    names = (_usable_name(_first_text(buffer, features, key)) for key in _NAMES)
    name = next((name for name in names if name), f"{number:06d}")
    if Path(name).suffix.lower() in IMAGE_SUFFIXES:
        return name
    form = identify(buffer[picture : picture + 16])
    form = form or _first_text(buffer, features, _FORMAT).strip().upper()
    suffix = _SUFFIXES.get(form, f".{form.lower()}")
    return f"{name}{suffix}" if suffix in IMAGE_SUFFIXES else name


def _first_text(buffer: Buffer, features: Features, key: bytes) -> str:
    for start, stop in features.get(key, _NOTHING).spans[:1]:
        return buffer[start : min(stop, start + 2 * _LONGEST_NAME)].decode("utf-8", "replace")
    return ""


def _usable_name(text: str) -> str:
    """Return a path without anything that leads upwards or to the top; "" if none is left."""
    text = text.strip()
    parts = text.replace("\\", "/").split("/")
    kept = [part for part in parts if part not in ("", ".", "..") and not part.endswith(":")]
    sizes = [len(part.encode()) for part in kept]
    if not text.isprintable() or max(sizes, default=0) > _LONGEST_PART:
        return ""
    name = "/".join(kept)
    # Written as a file of its own, such a name would be taken for a place in another file.
    is_place = containing_file(f"x/{name}") != f"x/{name}"
    return "" if is_place or sum(sizes) >= _LONGEST_NAME else name
