"""The tags of a TIFF file or of an EXIF block, which is a TIFF file without pixels.

Pillow is not used for these: it reads the data of every tag, however often a hostile file makes
tags share them (Pillow 13 has a limit, 12 has none), and its TIFF reader refuses pixel types that
OpenCV decodes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

WIDTH, HEIGHT, BITS, PHOTOMETRIC, ORIENTATION, EXTRA_SAMPLES = 256, 257, 258, 262, 274, 338
_USED = frozenset({WIDTH, HEIGHT, BITS, PHOTOMETRIC, ORIENTATION, EXTRA_SAMPLES})
_SHORT, _LONG = 3, 4


@dataclass(frozen=True)
class TiffTags:
    """The first directory.

    Attributes:
        values: first value of each tag of those named in this module, as its type says (LONG or
            SHORT; others as SHORT).
        shorts: the first 16 bits of each tag's field whatever its type, as OpenCV reads EXIF.
        more_pages: another directory follows.
    """

    values: dict[int, int]
    shorts: dict[int, int]
    more_pages: bool


def read_tiff_tags(stream: BinaryIO, *, is_exif: bool = False) -> TiffTags:
    """Read the first directory; `stream` begins with the TIFF header.

    Args:
        stream: of a TIFF file or an EXIF block.
        is_exif: take the header as OpenCV does, which decodes the picture: any two letters but
            "II" mean that the first byte of a number is the highest.

    Source: TIFF 6.0, section 2: the header points to a directory of 12-byte entries, which hold
    their value or, if it is longer than 4 bytes, its place.

    Raises:
        struct.error: cut off or damaged.
    """
    start = stream.seek(0, 1)
    mark = stream.read(4)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(mark)
    if is_exif and mark[2:] == b"\0*" and mark[:2] != b"II":
        order = ">"
    if order is None:
        raise struct.error(f"no TIFF header: {mark!r}")
    (place,) = struct.unpack(f"{order}I", stream.read(4))
    stream.seek(start + place)
    (count,) = struct.unpack(f"{order}H", stream.read(2))
    entries = stream.read(12 * count)
    following = stream.read(4)
    values: dict[int, int] = {}
    shorts: dict[int, int] = {}
    for at in range(0, min(12 * count, len(entries) - 11), 12):
        tag, kind, length = struct.unpack_from(f"{order}HHI", entries, at)
        if tag in _USED and tag not in values:
            field = entries[at + 8 : at + 12]
            form = "I" if kind == _LONG else "H"
            (shorts[tag],) = struct.unpack_from(f"{order}H", field)
            if kind in (_SHORT, _LONG) and length * struct.calcsize(form) > 4:
                stream.seek(start + struct.unpack(f"{order}I", field)[0])
                field = stream.read(struct.calcsize(form))
                if is_exif and len(field) < struct.calcsize(form):
                    continue  # OpenCV doesn't look there, and takes what `shorts` has
            (values[tag],) = struct.unpack_from(f"{order}{form}", field)
    return TiffTags(values, shorts, more_pages=any(following))
