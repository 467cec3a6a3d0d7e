"""What an image file is, from its header: format, depth, colours, frames."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import BinaryIO, Literal

from edge_retina.datasets import tiff_tags
from edge_retina.datasets.pillow import identify, image_errors, open_header
from edge_retina.datasets.tiff_tags import read_tiff_tags
from edge_retina.errors import ImageError

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
_MODES: dict[str, Colours] = {  # Pillow's; all others are colour
    "1": "grey",
    "L": "grey",
    "LA": "grey",
    "I": "grey",
    "I;16": "grey",
    "CMYK": "cmyk",
}
_PNG_DEPTH = 24  # place of the bit depth: it stands in the first chunk, IHDR
# TIFF 6.0, section 8: PhotometricInterpretation
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _SEPARATED = 0, 1, 2, 5


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
    """Return the format of an encoded image; None if it is none of `SUFFIXES`.

    Of a damaged header nothing but the format's name is known.
    """
    name = identify(data)
    if name is None:
        return None
    stream = io.BytesIO(data)
    try:
        with image_errors(stream, name):
            return _tiff(stream) if name == "TIFF" else _other(stream, name, data)
    except ImageError:
        return FileFormat(name)


def _other(stream: BinaryIO, name: str, data: bytes) -> FileFormat:
    image = open_header(stream, name)
    return FileFormat(
        name,
        bits=max(data[_PNG_DEPTH], 8) if name == "PNG" else 8,
        colours=_MODES.get(image.mode, "colour"),
        alpha=image.has_transparency_data,
        animated=getattr(image, "is_animated", False),
    )


def _tiff(stream: BinaryIO) -> FileFormat:
    tags = read_tiff_tags(stream)
    photometric = tags.values.get(tiff_tags.PHOTOMETRIC, _RGB)
    grey = photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO)
    return FileFormat(
        "TIFF",
        bits=tags.values.get(tiff_tags.BITS, 8),
        colours="grey" if grey else "cmyk" if photometric == _SEPARATED else "colour",
        alpha=tiff_tags.EXTRA_SAMPLES in tags.values,
        animated=tags.more_pages,
    )
