"""Size and EXIF orientation of an image from its header; no pixels are decoded."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from edge_retina import MAX_IMAGE_PIXELS
from edge_retina.datasets import tiff_tags
from edge_retina.datasets.pillow import (
    FORMATS,
    identify,
    image_errors,
    open_header,
    too_many_pixels,
    unreadable,
)
from edge_retina.datasets.tiff_tags import read_tiff_tags
from edge_retina.errors import ImageError
from edge_retina.stored_files import open_binary

_ORIENTATIONS = range(1, 9)


@dataclass(frozen=True)
class ImageHeader:
    """What the header says.

    Attributes:
        raw_hw: (height, width) of the stored pixels.
        orientation: EXIF orientation 1..8 as OpenCV applies it; 5..8 swap the sides.
        invalid_orientation: the value of the EXIF tag if it is none of 1..8; else None.
    """

    raw_hw: tuple[int, int]
    orientation: int = 1
    invalid_orientation: int | None = None

    @property
    def image_hw(self) -> tuple[int, int]:
        """(height, width) of the upright image, as `load_image` returns it."""
        height, width = self.raw_hw
        return (width, height) if self.orientation >= 5 else (height, width)

    def boxes_upright(self, boxes_px: np.ndarray) -> np.ndarray:
        """Turn boxes drawn on the stored pixels into boxes on the upright image.

        Args:
            boxes_px: (G, 4) yxyx in pixels of the stored image.

        Returns:
            (G, 4) yxyx in pixels of the upright image.

        Source: EXIF 2.3, 4.6.4, tag Orientation: 2 mirrored, 3 turned by 180 degrees, 4 flipped,
        5 transposed, 6 to be turned clockwise, 7 transposed over the other diagonal, 8 to be turned
        anticlockwise.
        """
        height, width = self.image_hw
        boxes = boxes_px[:, [1, 0, 3, 2]] if self.orientation >= 5 else boxes_px.copy()
        if self.orientation in (3, 4, 7, 8):
            boxes[:, [0, 2]] = height - boxes[:, [2, 0]]
        if self.orientation in (2, 3, 6, 7):
            boxes[:, [1, 3]] = width - boxes[:, [3, 1]]
        return boxes


def read_image_header(path: Path | str) -> ImageHeader:
    """Read the size and orientation of a JPEG, PNG, GIF, BMP, WebP or TIFF file.

    Raises:
        ImageError: missing, empty, cut off, damaged, no image, or more than `MAX_IMAGE_PIXELS`.
    """
    name = str(path)
    try:
        stream = open_binary(path)  # closed below; errors of opening are not Pillow's
    except OSError as error:
        raise unreadable(name, error) from None
    with stream, image_errors(stream, name):
        return _read(stream, name)


def _read(stream: BinaryIO, name: str) -> ImageHeader:
    start = stream.read(16)
    stream.seek(0)
    if not start:
        raise ImageError(name, "file is empty; expected an image", code="empty-file")
    image_format = identify(start)
    if image_format is None:
        expected = f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
        raise ImageError(name, f"not an image; expected {expected}", code="unreadable-image")
    header = _READERS.get(image_format, _read_with_pillow)(stream, image_format)
    height, width = header.raw_hw
    if height < 1 or width < 1:
        reason = f"header states a size of {width}x{height}; copy the file again"
        raise ImageError(name, reason, code="unreadable-image")
    if height * width > MAX_IMAGE_PIXELS:
        raise too_many_pixels(name, f"{width}x{height}")
    return header


def _read_with_pillow(stream: BinaryIO, image_format: str) -> ImageHeader:
    image = open_header(stream, image_format)
    width, height = image.size
    exif = image.info.get("exif", b"")
    if image_format == "JPEG":
        exif = exif.removeprefix(b"Exif\0\0")
    return _with_exif((height, width), exif)


def _read_png(stream: BinaryIO, _: str) -> ImageHeader:
    """Walk over the chunks: EXIF may stand behind the pixels, where Pillow finds it by decoding."""
    stream.seek(8)
    raw_hw, exif = (0, 0), b""
    while True:
        length, kind = struct.unpack(">I4s", stream.read(8))
        if kind == b"IHDR":
            width, height = struct.unpack(">II", stream.read(8))
            raw_hw = (height, width)
            stream.seek(length - 8 + 4, 1)
        elif kind == b"eXIf":
            data = stream.read(length)
            (checksum,) = struct.unpack(">I", stream.read(4))
            exif = data if zlib.crc32(kind + data) == checksum else exif  # as libpng does
        elif kind == b"IEND":
            return _with_exif(raw_hw, exif)
        else:
            stream.seek(length + 4, 1)  # data and its checksum


def _read_tiff(stream: BinaryIO, _: str) -> ImageHeader:
    tags = read_tiff_tags(stream).values
    raw_hw = tags[tiff_tags.HEIGHT], tags[tiff_tags.WIDTH]
    stated = tags.get(tiff_tags.ORIENTATION, 1)
    return _oriented(raw_hw, stated, applied=stated)


_READERS: dict[str, Callable[[BinaryIO, str], ImageHeader]] = {
    "PNG": _read_png,
    "TIFF": _read_tiff,
}


def _with_exif(raw_hw: tuple[int, int], exif: bytes) -> ImageHeader:
    if not exif:
        return ImageHeader(raw_hw)
    try:
        tags = read_tiff_tags(io.BytesIO(exif), is_exif=True)
    except struct.error:
        return ImageHeader(raw_hw)  # a damaged block is ignored by OpenCV too
    orientation = tiff_tags.ORIENTATION
    return _oriented(
        raw_hw, tags.values.get(orientation, 1), applied=tags.shorts.get(orientation, 1)
    )


def _oriented(raw_hw: tuple[int, int], stated: int, *, applied: int) -> ImageHeader:
    return ImageHeader(
        raw_hw,
        orientation=applied if applied in _ORIENTATIONS else 1,
        invalid_orientation=None if stated in _ORIENTATIONS else stated,
    )
