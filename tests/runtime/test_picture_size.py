"""Pixels that headers state, against what OpenCV decodes, and what is refused for them."""

from __future__ import annotations

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from edge_retina.errors import DatasetError
from edge_retina.runtime.image import decode_image, refuse_bomb
from edge_retina.runtime.picture_size import stated_pixels

PICTURE = np.random.default_rng(0).integers(0, 256, (21, 34, 3), dtype=np.uint8)


def by_pillow(kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(PICTURE).save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".gif", ".bmp", ".webp", ".tif"])
def test_of_every_format_that_opencv_writes(suffix: str) -> None:
    data = cv2.imencode(suffix, PICTURE)[1].tobytes()
    assert stated_pixels(data) == 21 * 34
    assert decode_image(data, name="a").shape == (21, 34, 3)


@pytest.mark.parametrize(
    "kind, options",
    [
        ("JPEG", {"progressive": True, "exif": b"Exif\0\0" + bytes(900)}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"lossless": True, "exif": b"Exif\0\0" + bytes(90)}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"big_tiff": False, "compression": "tiff_deflate"}),
        ("GIF", {}),
    ],
)
def test_of_what_others_write(kind: str, options: dict[str, object]) -> None:
    assert stated_pixels(by_pillow(kind, **options)) == 21 * 34


def test_the_header_of_os2() -> None:
    data = b"BM" + struct.pack("<IHHIIHHHH", 26 + 36, 0, 0, 26, 12, 3, 4, 1, 24) + bytes(48)
    assert stated_pixels(data) == 12
    assert decode_image(data, name="a").shape == (4, 3, 3)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".gif", ".bmp", ".webp", ".tif"])
def test_no_cut_raises(suffix: str) -> None:
    data = cv2.imencode(suffix, PICTURE)[1].tobytes()
    for length in range(len(data)):
        assert stated_pixels(data[:length]) in (0, None, 21 * 34)


def test_other_formats_never_reach_a_decoder() -> None:
    for data in (b"P5 1 1 255 x", b"\x76\x2f\x31\x01" + bytes(99), b"\0\0\0\x0cjP  \r\n\x87\n"):
        assert stated_pixels(data) is None
        with pytest.raises(DatasetError, match="a: not a picture that OpenCV can decode \\(JPEG"):
            decode_image(data, name="a")


def png(width: int, height: int, *, size: int = 0) -> bytes:
    """A PNG with this header and no pixels, padded to `size` bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = b"\x89PNG\r\n\x1a\n" + chunk(
        b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    )
    return head + bytes(max(size - len(head), 0))


@pytest.mark.parametrize(
    "width, height, size, refused",
    [
        (8000, 5000, 0, False),  # 40 million pixels may be of one colour
        (8000, 5001, 0, True),
        (13_000, 13_000, 172_000, True),  # 172 KB that took 1.6 GB and 16 s
        (13_000, 13_000, 845_000, False),  # a byte for 200 pixels
        (13_000, 13_000, 844_999, True),
        (60_000, 60_000, 0, True),
    ],
)
def test_bombs_are_refused_by_their_headers(
    width: int, height: int, size: int, refused: bool
) -> None:
    data = png(width, height, size=size)
    if not refused:
        refuse_bomb(data, "a.png")
        return
    with pytest.raises(DatasetError, match=r"a\.png: .* million.*; make the picture smaller"):
        refuse_bomb(data, "a.png")


def test_a_jpeg_of_countless_scans() -> None:
    data = by_pillow("JPEG", progressive=True)
    refuse_bomb(data, "a.jpg")
    frame = data.index(b"\xff\xc2")
    large = data[: frame + 5] + struct.pack(">HH", 6000, 6500) + data[frame + 9 :]
    refuse_bomb(large, "a.jpg")
    with pytest.raises(DatasetError, match=r"39 million pixels in 1\d\d scans, which takes min"):
        refuse_bomb(large + b"\xff\xda" * 100, "a.jpg")
