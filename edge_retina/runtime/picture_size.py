"""How many pixels an encoded picture states, before they are decoded and take memory.

Only the formats that data sets may have are known here; OpenCV has decoders for many more, and what
is never fed to them can't make them fail.
"""

from __future__ import annotations

import struct

_PNG, _RIFF = b"\x89PNG\r\n\x1a\n", b"RIFF"
_GIFS = (b"GIF87a", b"GIF89a")
_TIFFS = {b"II*\0": "<", b"MM\0*": ">"}
_MARKER = b"\xff"
_SCAN = 0xDA
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a length
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # those between are tables
_WIDTH, _HEIGHT = 256, 257  # TIFF tags
FORMATS = "JPEG, PNG, WebP, BMP, GIF or TIFF"


def stated_pixels(data: bytes) -> int | None:
    """Return width times height of an encoded picture.

    Returns:
        0 if it is of a known format but damaged, which the decoder says better; None if it is of
        another format.

    Source: ITU-T T.81 (JPEG), PNG 1.2, RFC 9649 (WebP), GIF89a, TIFF 6.0, and BITMAPINFOHEADER.
    """
    try:
        if data[:2] == b"\xff\xd8":
            return _jpeg(data)
        if data[:8] == _PNG:
            width, height = struct.unpack_from(">II", data, 16)
            return int(width * height)
        if data[:4] == _RIFF and data[8:12] == b"WEBP":
            return _webp(data)
        if data[:2] == b"BM":
            core = data[14:18] == b"\x0c\0\0\0"  # the header of OS/2
            width, height = struct.unpack_from("<HH" if core else "<ii", data, 18)
            return abs(width * height)
        if data[:6] in _GIFS:
            return _gif(data)
        if data[:4] in _TIFFS:
            return _tiff(data, _TIFFS[data[:4]])
    except (struct.error, IndexError):
        return 0
    return None


def count_scans(data: bytes) -> int:
    """Return how often a JPEG goes over its pixels; progressive ones do so several times."""
    return data.count(_MARKER + bytes([_SCAN]))


def _jpeg(data: bytes) -> int:
    at = 2
    while True:
        while data[at] == 0xFF:  # any number of them may stand before a marker
            at += 1
        kind = data[at]
        at += 1
        if kind in _ALONE:
            continue
        if kind in _FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 3)
            return int(width * height)
        if kind == _SCAN:
            return 0
        at += struct.unpack_from(">H", data, at)[0]


def _webp(data: bytes) -> int:
    kind = data[12:16]
    if kind == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
    elif kind == b"VP8L":
        (packed,) = struct.unpack_from("<I", data, 21)
        width, height = (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    else:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    return width * height


def _gif(data: bytes) -> int:
    width, height = struct.unpack_from("<HH", data, 6)
    return int(width * height)


def _tiff(data: bytes, order: str) -> int:
    (at,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, at)
    sides = {_WIDTH: 0, _HEIGHT: 0}
    for number in range(count):
        tag, kind = struct.unpack_from(f"{order}HH", data, at + 2 + 12 * number)
        if tag in sides:
            code = "H" if kind == 3 else "I"
            (sides[tag],) = struct.unpack_from(f"{order}{code}", data, at + 10 + 12 * number)
    return sides[_WIDTH] * sides[_HEIGHT]
