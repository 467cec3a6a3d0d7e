"""What a picture file is, from its first bytes: format, depth, colours, frames."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Colours = Literal["colour", "grey", "cmyk"]

# Suffixes under which each format is at home.
SUFFIXES: dict[str, tuple[str, ...]] = {
    "JPEG": (".jpg", ".jpeg"),
    "PNG": (".png",),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "WebP": (".webp",),
    "TIFF": (".tif", ".tiff"),
}
# Start-of-frame markers; C4, C8 and CC lie in the same range. Source: ITU-T T.81, table B.1.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


@dataclass(frozen=True)
class FileFormat:
    """What the header says.

    Attributes:
        name: a key of `SUFFIXES`.
        bits: of one channel of one pixel.
        colours: "colour", "grey" or "cmyk".
        alpha: it has transparency.
        animated: it has more than one frame or page.
    """

    name: str
    bits: int = 8
    colours: Colours = "colour"
    alpha: bool = False
    animated: bool = False


def sniff_format(data: bytes) -> FileFormat | None:
    """Return the format of an encoded picture; None if it is none of `SUFFIXES`.

    A header that is cut off gives the format with what could be read of it.
    """
    for magic, name, read in _READERS:
        if data.startswith(magic):
            try:
                return read(data)
            except (struct.error, IndexError):
                return FileFormat(name)
    return None


def _jpeg(data: bytes) -> FileFormat:
    place = 2
    while place < len(data):
        marker, length = struct.unpack_from(">xBH", data, place)
        if marker == 0xFF:  # a fill byte before the marker
            place += 1
        elif marker in _JPEG_FRAMES:
            bits, components = struct.unpack_from(">BxxxxB", data, place + 4)
            colours: Colours = {1: "grey", 4: "cmyk"}.get(components, "colour")  # type: ignore[assignment]
            return FileFormat("JPEG", bits, colours)
        else:
            place += 2 + length
    return FileFormat("JPEG")


def _png(data: bytes) -> FileFormat:
    """Source: PNG specification (third edition), 11.2.1 IHDR, 11.3.3.1 acTL."""
    bits, colour_type = struct.unpack_from(">BB", data, 24)
    chunks = dict(_png_chunks(data))
    frames = struct.unpack_from(">I", data, chunks[b"acTL"])[0] if b"acTL" in chunks else 1
    return FileFormat(
        "PNG",
        8
        if colour_type == 3
        else bits,  # a palette's entries have 8 bits whatever its indices have
        "grey" if colour_type in (0, 4) else "colour",
        alpha=colour_type in (4, 6) or b"tRNS" in chunks,
        animated=frames > 1,
    )


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield kinds and places of the contents of chunks up to the pixels."""
    place = 8
    while place + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        if kind == b"IDAT":
            return
        yield kind, place + 8
        place += length + 12


def _gif(data: bytes) -> FileFormat:
    """Source: GIF89a specification, sections 18 to 26."""
    flags = data[10]
    place = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    frames, alpha = 0, False
    while frames < 2 and data[place] != 0x3B:
        if data[place] == 0x21:  # an extension
            alpha = alpha or (data[place + 1] == 0xF9 and bool(data[place + 3] & 1))
            place = _after_blocks(data, place + 2)
        else:
            flags = data[place + 9]
            frames += 1
            table = 3 << (flags & 7) + 1 if flags & 0x80 else 0
            place = _after_blocks(data, place + 10 + table + 1)
    return FileFormat("GIF", alpha=alpha, animated=frames > 1)


def _after_blocks(data: bytes, place: int) -> int:
    while data[place]:
        place += data[place] + 1
    return place + 1


def _bmp(data: bytes) -> FileFormat:
    (bits,) = struct.unpack_from("<H", data, 28)
    # A fourth byte is padding as a rule; only headers from version 4 on give it a meaning.
    (size,) = struct.unpack_from("<I", data, 14)
    return FileFormat("BMP", alpha=bits == 32 and size >= 108)


def _webp(data: bytes) -> FileFormat | None:
    """Source: RFC 9649, sections 2.7 (VP8X flags) and 3.4 (lossless header)."""
    if data[8:12] != b"WEBP":
        return None  # RIFF holds sound and film too
    if data[12:16] == b"VP8X":
        return FileFormat("WebP", alpha=bool(data[20] & 0x10), animated=bool(data[20] & 0x02))
    if data[12:16] == b"VP8L":
        return FileFormat("WebP", alpha=bool(data[24] & 0x10))
    return FileFormat("WebP")


def _tiff(data: bytes) -> FileFormat:
    """Source: TIFF 6.0, section 2 (directories) and 8 (tags)."""
    order = "<" if data[:2] == b"II" else ">"
    (place,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, place)
    tags = {}
    for entry in range(place + 2, place + 2 + 12 * count, 12):
        tag, kind, values = struct.unpack_from(f"{order}HHI", data, entry)
        size = {1: 1, 3: 2}.get(kind, 4) * values
        at = entry + 8 if size <= 4 else struct.unpack_from(f"{order}I", data, entry + 8)[0]
        tags[tag] = struct.unpack_from(f"{order}{'H' if kind == 3 else 'I'}", data, at)[0]
    (following,) = struct.unpack_from(f"{order}I", data, place + 2 + 12 * count)
    photometric = tags.get(262, 2)
    colours: Colours = "cmyk" if photometric == 5 else "grey" if photometric < 2 else "colour"
    return FileFormat("TIFF", tags.get(258, 8), colours, alpha=338 in tags, animated=following != 0)


_READERS = (
    (b"\xff\xd8", "JPEG", _jpeg),
    (b"\x89PNG\r\n\x1a\n", "PNG", _png),
    (b"GIF87a", "GIF", _gif),
    (b"GIF89a", "GIF", _gif),
    (b"BM", "BMP", _bmp),
    (b"RIFF", "WebP", _webp),
    (b"II*\0", "TIFF", _tiff),
    (b"MM\0*", "TIFF", _tiff),
)
