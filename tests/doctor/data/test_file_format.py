from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from edge_retina.doctor.data.file_format import FileFormat, sniff_format
from tests.doctor.made import cmyk_jpeg, encode, photo, two_frame_gif

PICTURE = photo(0)
GREY_16 = PICTURE[..., 0].astype(np.uint16) * 257
WITH_ALPHA = cv2.cvtColor(PICTURE, cv2.COLOR_BGR2BGRA)


def with_pillow(picture: np.ndarray, form: str, **options: Any) -> bytes:
    """Encode what OpenCV can't: palettes, CMYK, frames."""
    stream = io.BytesIO()
    mode = options.pop("mode", None)
    image = Image.fromarray(picture[..., ::-1] if picture.ndim == 3 else picture)
    (image.convert(mode) if mode else image).save(stream, form, **options)
    return stream.getvalue()


FRAMES = [Image.fromarray(photo(seed)) for seed in (1, 2)]


def one_frame_gif() -> bytes:
    two = two_frame_gif()
    second = two.rindex(b",\0\0\0\0")
    return two[:second] + b";"


def animated_png() -> bytes:
    png = encode(PICTURE, ".png")
    body = struct.pack(">4sII", b"acTL", 2, 0)
    return png[:33] + struct.pack(">I", 8) + body + struct.pack(">I", zlib.crc32(body)) + png[33:]


@pytest.mark.parametrize(
    "data, expected",
    [
        (b"", None),
        (b"text", None),
        (b"RIFF\0\0\0\0WAVE", None),
        (encode(PICTURE), FileFormat("JPEG")),
        (encode(PICTURE[..., 0]), FileFormat("JPEG", colours="grey")),
        (cmyk_jpeg(), FileFormat("JPEG", colours="cmyk")),
        (b"\xff\xd8\xff\xe0", FileFormat("JPEG")),  # cut off
        (encode(PICTURE, ".png"), FileFormat("PNG")),
        (encode(PICTURE[..., 0], ".png"), FileFormat("PNG", colours="grey")),
        (encode(PICTURE.astype(np.uint16), ".png"), FileFormat("PNG", bits=16)),
        (encode(WITH_ALPHA, ".png"), FileFormat("PNG", alpha=True)),
        (animated_png(), FileFormat("PNG", animated=True)),
        (one_frame_gif(), FileFormat("GIF")),
        (two_frame_gif(), FileFormat("GIF", animated=True)),
        (encode(PICTURE, ".bmp"), FileFormat("BMP")),
        (encode(PICTURE, ".webp"), FileFormat("WebP")),
        (encode(WITH_ALPHA // 2, ".webp"), FileFormat("WebP", alpha=True)),
        (
            with_pillow(PICTURE, "WEBP", save_all=True, append_images=FRAMES),
            FileFormat("WebP", animated=True),
        ),
        (with_pillow(PICTURE, "PNG", mode="P"), FileFormat("PNG")),
        (
            with_pillow(PICTURE, "PNG", mode="P", transparency=0),
            FileFormat("PNG", alpha=True),
        ),
        (with_pillow(PICTURE, "PNG", mode="1"), FileFormat("PNG", colours="grey")),
        (encode(GREY_16, ".png"), FileFormat("PNG", bits=16, colours="grey")),
        (with_pillow(PICTURE, "JPEG", mode="CMYK"), FileFormat("JPEG", colours="cmyk")),
        (with_pillow(PICTURE, "GIF", transparency=0), FileFormat("GIF", alpha=True)),
        (encode(PICTURE[..., 0], ".bmp"), FileFormat("BMP", colours="grey")),
        (with_pillow(PICTURE, "TIFF", mode="CMYK"), FileFormat("TIFF", colours="cmyk")),
        (
            with_pillow(PICTURE, "TIFF", save_all=True, append_images=FRAMES),
            FileFormat("TIFF", animated=True),
        ),
        (with_pillow(PICTURE, "TIFF", mode="RGBA"), FileFormat("TIFF", alpha=True)),
        (encode(PICTURE, ".tiff"), FileFormat("TIFF")),
        (encode(PICTURE.astype(np.uint16), ".tiff"), FileFormat("TIFF", bits=16)),
        (encode(PICTURE[..., 0], ".tiff"), FileFormat("TIFF", colours="grey")),
    ],
)
def test_format(data: bytes, expected: FileFormat | None) -> None:
    assert sniff_format(data) == expected


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp", ".tiff", ".gif"])
def test_every_cut_gives_an_answer(suffix: str) -> None:
    data = two_frame_gif() if suffix == ".gif" else encode(PICTURE, suffix)
    for length in range(0, min(len(data), 300)):
        sniff_format(data[:length])
