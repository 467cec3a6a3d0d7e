from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest

from edge_retina.doctor.data.file_format import FileFormat, sniff_format
from tests.doctor.made import cmyk_jpeg, encode, photo, two_frame_gif

PICTURE = photo(0)
WITH_ALPHA = cv2.cvtColor(PICTURE, cv2.COLOR_BGR2BGRA)


def webp_header(flags: int) -> bytes:
    return (
        b"RIFF"
        + struct.pack("<I", 22)
        + b"WEBPVP8X"
        + struct.pack("<I", 10)
        + bytes([flags] + [0] * 9)
    )


def one_frame_gif() -> bytes:
    two = two_frame_gif()
    second = two.rindex(b",\0\0\0\0")
    return two[:second] + b";"


def animated_png() -> bytes:
    png = encode(PICTURE, ".png")
    chunk = struct.pack(">I4sII", 8, b"acTL", 2, 0) + bytes(4)  # nobody looks at the checksum here
    return png[:33] + chunk + png[33:]


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
        (webp_header(0x10), FileFormat("WebP", alpha=True)),
        (webp_header(0x02), FileFormat("WebP", animated=True)),
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
