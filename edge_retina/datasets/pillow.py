"""Encoded images opened with Pillow, headers only; the one module that imports Pillow.

Pillow's limit of pixels and its warnings belong to `Image.open`, whose global settings are not
ours to change, so its readers are called directly and sizes are checked by whoever reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    WebPImagePlugin,
)

from edge_retina import MAX_IMAGE_PIXELS
from edge_retina.errors import ImageError

_SIGNATURES = (
    (b"\xff\xd8", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"RIFF", "WebP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
)
FORMATS = tuple(dict.fromkeys(name for _, name in _SIGNATURES))


class _JpegHeader(JpegImagePlugin.JpegImageFile):
    def _read_dpi_from_exif(self) -> None:
        """Don't parse all of EXIF, which may be made to fill the memory, for a resolution."""


def _open_webp(stream: BinaryIO) -> Any:
    """Check the canvas, which Pillow before version 13 allocates when it opens the file.

    Source: RFC 9649, section 2.7: width and height, less one, in 3 bytes each.
    """
    start = stream.read(30)
    stream.seek(0)
    if start[12:16] == b"VP8X":
        width, height = (int.from_bytes(start[at : at + 3], "little") + 1 for at in (24, 27))
        if width * height > MAX_IMAGE_PIXELS:
            raise Image.DecompressionBombError
    return WebPImagePlugin.WebPImageFile(stream)


_OPENERS: dict[str, Callable[[BinaryIO], Any]] = {
    "JPEG": _JpegHeader,
    "PNG": PngImagePlugin.PngImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "WebP": _open_webp,
}


def identify(start: bytes) -> str | None:
    """Return which of `FORMATS` a file has that begins with `start`, 12 bytes or more."""
    found = next((name for magic, name in _SIGNATURES if start.startswith(magic)), None)
    # RIFF files hold sound and film too
    return None if found == "WebP" and start[8:12] != b"WEBP" else found


def open_header(stream: BinaryIO, image_format: str) -> Any:
    """Return Pillow's image of any format but TIFF; its pixels are not decoded.

    Raises:
        Exception: of nearly any kind, if the file is damaged; use it within `image_errors`.
    """
    return _OPENERS[image_format](stream)


@contextmanager
def image_errors(stream: BinaryIO, name: str) -> Iterator[None]:
    """Turn whatever a damaged file in `stream` makes a reader raise into an ImageError.

    Args:
        stream: the file that is being read.
        name: of the file, for the message.
    """
    try:
        yield
    except ImageError:
        raise
    except Image.DecompressionBombError:
        raise too_many_pixels(name, "") from None
    except Exception as error:  # SyntaxError, KeyError, struct.error ...: each reader has its own
        if isinstance(error, OSError) and error.errno is not None:
            raise unreadable(name, error) from None
        if stream.read(1):
            reason = "image header is damaged or unsupported; export the file again"
            raise ImageError(name, reason, code="unreadable-image") from error
        reason = "image is cut off; copy the file again"
        raise ImageError(name, reason, code="truncated-image") from error


def unreadable(name: str, error: OSError) -> ImageError:
    """Return the error of a file that the operating system doesn't give."""
    missing = isinstance(error, FileNotFoundError)
    return ImageError(
        name,
        f"can't be read ({error.strerror or error}); expected an image",
        code="missing-image" if missing else "unreadable-image",
    )


def too_many_pixels(name: str, size: str) -> ImageError:
    """Return the error of a file that may be made to fill the memory; `size` may be unknown."""
    reason = (
        f"header states {size}{', ' if size else ''}more than the allowed "
        f"{MAX_IMAGE_PIXELS // 10**6} million pixels (a guard against decompression bombs); "
        "scale the image down"
    )
    return ImageError(name, reason, code="unreadable-image")
