"""Size and EXIF orientation of a picture from its headers, without decoding pixels."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from edge_retina import MAX_IMAGE_PIXELS
from edge_retina.errors import DatasetError

_EXIF_ORIENTATION = 0x0112
# Start-of-frame markers carry the size; C4 (Huffman tables), C8 (reserved) and CC (arithmetic
# conditioning) lie in the same range and don't. Source: ITU-T T.81, table B.1.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_TIFF_WIDTH, _TIFF_HEIGHT = 0x0100, 0x0101
_TIFF_SIZES = {3: "H", 4: "I"}  # value types SHORT and LONG
_FORMATS = "JPEG, PNG, WebP, BMP ..."


@dataclass(frozen=True)
class ImageHeader:
    """What the header says.

    Attributes:
        raw_hw: (height, width) of the stored pixels.
        orientation: EXIF orientation 1..8; 5..8 swap the sides.
    """

    raw_hw: tuple[int, int]
    orientation: int = 1

    @property
    def image_hw(self) -> tuple[int, int]:
        """(height, width) of the upright picture, as `load_image` returns it."""
        height, width = self.raw_hw
        return (width, height) if self.orientation >= 5 else (height, width)

    def boxes_upright(self, boxes_px: np.ndarray) -> np.ndarray:
        """Turn boxes drawn on the stored pixels into boxes on the upright picture.

        Args:
            boxes_px: (G, 4) yxyx in pixels of the stored picture.

        Returns:
            (G, 4) yxyx in pixels of the upright picture.

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


def read_image_header(path: Path) -> ImageHeader:
    """Read a picture's size and orientation from the headers of JPEG, PNG, GIF, BMP, WebP or TIFF.

    Raises:
        DatasetError: missing, empty, cut off, not a picture, or more than `MAX_IMAGE_PIXELS`.
    """
    try:
        with open(path, "rb") as stream:
            header = _read_known(stream)
            empty = header is None and not stream.seek(0, 2)
    except OSError as error:
        reason = error.strerror or error
        raise DatasetError(f"{path}: can't be read ({reason}); expected a picture") from None
    except ValueError as error:  # a name that no file system can hold
        raise DatasetError(f"{str(path)!r}: can't be read ({error})") from None
    except struct.error:
        raise DatasetError(f"{path}: picture is cut off; copy the file again") from None
    if empty:
        raise DatasetError(f"{path}: file is empty; expected a picture")
    if header is None:
        raise DatasetError(f"{path}: not a picture ({_FORMATS})")
    return _check_size(header, path)


def _check_size(header: ImageHeader, path: Path) -> ImageHeader:
    height, width = header.raw_hw
    if height < 1 or width < 1:
        raise DatasetError(f"{path}: header states a size of {width}x{height}; copy the file again")
    if height * width > MAX_IMAGE_PIXELS:
        raise DatasetError(
            f"{path}: header states {width}x{height}, allowed are "
            f"{MAX_IMAGE_PIXELS // 10**6} million pixels; such a file may be made to fill "
            "the memory, scale the picture down"
        )
    return header


def _read_known(stream: BinaryIO) -> ImageHeader | None:
    start = stream.read(32)
    if start[:2] == b"\xff\xd8":
        stream.seek(2)
        return _read_jpeg(stream)
    if start[:8] == b"\x89PNG\r\n\x1a\n":
        stream.seek(8)
        return _read_png(stream)
    if start[:6] in (b"GIF87a", b"GIF89a"):
        width, height = struct.unpack("<HH", start[6:10])
        return ImageHeader((height, width))
    if start[:2] == b"BM":
        return _read_bmp(start)
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        stream.seek(12)
        return _read_webp(stream)
    if start[:4] in (b"II*\0", b"MM\0*"):
        return _read_tiff(stream, "<" if start[:1] == b"I" else ">")
    return None


def _read_bmp(start: bytes) -> ImageHeader:
    (header_size,) = struct.unpack("<I", start[14:18])
    if header_size == 12:  # OS/2
        width, height = struct.unpack("<HH", start[18:22])
    else:
        width, height = struct.unpack("<ii", start[18:26])
    return ImageHeader((abs(height), width))  # a negative height means: top row first


def _read_tiff(stream: BinaryIO, order: str) -> ImageHeader:
    """Source: TIFF 6.0, section 2: the header points to a directory of 12-byte entries."""
    stream.seek(4)
    (start,) = struct.unpack(f"{order}I", stream.read(4))
    stream.seek(start)
    (count,) = struct.unpack(f"{order}H", stream.read(2))
    found = {_EXIF_ORIENTATION: 1}
    for _ in range(count):
        entry = stream.read(12)
        tag, kind, _ = struct.unpack_from(f"{order}HHI", entry)
        if kind in _TIFF_SIZES:
            found[tag] = struct.unpack_from(f"{order}{_TIFF_SIZES[kind]}", entry, 8)[0]
    if _TIFF_WIDTH not in found or _TIFF_HEIGHT not in found:
        raise struct.error("no size where one must be")
    orientation = found[_EXIF_ORIENTATION]
    raw_hw = found[_TIFF_HEIGHT], found[_TIFF_WIDTH]
    return ImageHeader(raw_hw, orientation if 1 <= orientation <= 8 else 1)


def _read_jpeg(stream: BinaryIO) -> ImageHeader:
    orientation = 1
    while True:
        marker = stream.read(2)
        while marker == b"\xff\xff":  # fill bytes are allowed before a marker
            marker = b"\xff" + stream.read(1)
        if len(marker) < 2 or marker[0] != 0xFF:
            raise struct.error("no marker where one must be")
        (length,) = struct.unpack(">H", stream.read(2))
        if marker[1] in _JPEG_FRAMES:
            height, width = struct.unpack(">xHH", stream.read(5))
            return ImageHeader((height, width), orientation)
        segment = stream.read(length - 2)
        if marker[1] == 0xE1 and segment[:6] == b"Exif\0\0":
            orientation = _exif_orientation(segment[6:])


def _read_png(stream: BinaryIO) -> ImageHeader:
    raw_hw, orientation = (0, 0), 1
    while True:
        length, kind = struct.unpack(">I4s", stream.read(8))
        if kind == b"IHDR":
            width, height = struct.unpack(">II", stream.read(8))
            raw_hw = (height, width)
            stream.seek(length - 8 + 4, 1)
        elif kind == b"eXIf":
            orientation = _exif_orientation(stream.read(length))
            stream.seek(4, 1)
        elif kind == b"IEND":  # the orientation may stand after the pixels
            return ImageHeader(raw_hw, orientation)
        else:
            stream.seek(length + 4, 1)  # data and its checksum


def _read_webp(stream: BinaryIO) -> ImageHeader:
    """Source: RFC 9649, section 2 (container), 3.4 (lossless header); RFC 6386, 9.1 (lossy)."""
    kind, length = struct.unpack("<4sI", stream.read(8))
    data = stream.read(10)
    if len(data) < 10:
        raise struct.error("cut off within the first chunk")
    if kind == b"VP8X":
        width, height = (int.from_bytes(data[i : i + 3], "little") + 1 for i in (4, 7))
        stream.seek(length - len(data), 1)
        return ImageHeader((height, width), _webp_orientation(stream) if data[0] & 0x08 else 1)
    if kind == b"VP8L":
        (bits,) = struct.unpack("<xI", data[:5])
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        width, height = (side & 0x3FFF for side in struct.unpack("<HH", data[6:10]))
    return ImageHeader((height, width))


def _webp_orientation(stream: BinaryIO) -> int:
    while head := stream.read(8):
        kind, length = struct.unpack("<4sI", head)
        if kind == b"EXIF":
            return _exif_orientation(stream.read(length))
        stream.seek(length + length % 2, 1)  # chunks are padded to even lengths
    return 1


def _exif_orientation(tiff: bytes) -> int:
    """Return the orientation tag of an EXIF block; 1 where there is none or it can't be read."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", tiff, entry)
            if tag == _EXIF_ORIENTATION:
                return int(value) if 1 <= value <= 8 else 1
    except struct.error:
        return 1  # a damaged block is ignored by every decoder too
    return 1
