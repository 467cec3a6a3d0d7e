from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_retina.datasets.image_header import ImageHeader, read_image_header
from edge_retina.errors import DatasetError


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".gif", ".webp", ".tiff"])
def test_size_is_height_then_width(tmp_path: Path, picture: Callable[..., Path], suffix: str):
    path = picture(tmp_path / f"a{suffix}", (30, 50))
    assert read_image_header(path) == ImageHeader((30, 50))


def test_lossy_webp(tmp_path: Path):
    path = tmp_path / "a.webp"
    noise = np.random.default_rng(0).integers(0, 255, (30, 50, 3), np.uint8)
    cv2.imwrite(str(path), noise, [cv2.IMWRITE_WEBP_QUALITY, 50])
    assert path.read_bytes()[12:16] == b"VP8 "
    assert read_image_header(path).image_hw == (30, 50)


def test_progressive_grey_jpeg(tmp_path: Path):
    path = tmp_path / "a.jpg"
    cv2.imwrite(str(path), np.zeros((30, 50), np.uint8), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])
    assert read_image_header(path).image_hw == (30, 50)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_boxes_lie_where_opencv_shows_them(
    tmp_path: Path, exif: Callable[..., bytes], orientation: int, order: str
):
    raw = np.zeros((64, 96, 3), np.uint8)
    raw[8:24, 16:56] = 255  # a white box, far from every symmetry
    _, encoded = cv2.imencode(".jpg", raw, [cv2.IMWRITE_JPEG_QUALITY, 100])
    path = tmp_path / "a.jpg"
    path.write_bytes(exif(encoded.tobytes(), orientation, order))

    header = read_image_header(path)
    upright = cv2.imread(str(path), cv2.IMREAD_COLOR)[..., 0] > 127

    assert header.orientation == orientation
    assert header.raw_hw == (64, 96)
    assert header.image_hw == upright.shape
    ys, xs = np.nonzero(upright)
    seen = [ys.min(), xs.min(), ys.max() + 1, xs.max() + 1]
    boxes = header.boxes_upright(np.array([[8, 16, 24, 56]], np.float32))
    np.testing.assert_array_equal(boxes, [seen])


def test_boxes_upright_takes_no_boxes_and_leaves_its_argument_alone():
    header = ImageHeader((40, 60), orientation=3)
    assert header.boxes_upright(np.zeros((0, 4), np.float32)).shape == (0, 4)
    boxes = np.array([[0, 0, 10, 20]], np.float32)
    header.boxes_upright(boxes)
    np.testing.assert_array_equal(boxes, [[0, 0, 10, 20]])


@pytest.mark.parametrize("after_pixels", [False, True])
def test_exif_in_png(tmp_path: Path, tiff_exif: Callable[..., bytes], after_pixels: bool):
    data = cv2.imencode(".png", np.zeros((20, 40, 3), np.uint8))[1].tobytes()
    block = b"eXIf" + tiff_exif(6)
    chunk = struct.pack(">I", len(block) - 4) + block + struct.pack(">I", zlib.crc32(block))
    at = len(data) - 12 if after_pixels else 33  # before IEND, or behind IHDR
    path = tmp_path / "a.png"
    path.write_bytes(data[:at] + chunk + data[at:])
    assert read_image_header(path) == ImageHeader((20, 40), 6)
    assert cv2.imread(str(path)).shape[:2] == read_image_header(path).image_hw


def test_exif_in_webp(tmp_path: Path, tiff_exif: Callable[..., bytes]):
    data = cv2.imencode(".webp", np.zeros((20, 40, 3), np.uint8))[1].tobytes()
    sides = (39).to_bytes(3, "little") + (19).to_bytes(3, "little")
    extended = b"VP8X" + struct.pack("<I", 10) + bytes([0x08, 0, 0, 0]) + sides
    block = tiff_exif(8)
    body = b"WEBP" + extended + data[12:] + b"EXIF" + struct.pack("<I", len(block)) + block
    path = tmp_path / "a.webp"
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    assert read_image_header(path) == ImageHeader((20, 40), 8)
    assert cv2.imread(str(path)).shape[:2] == read_image_header(path).image_hw


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_upright(
    tmp_path: Path, picture: Callable[..., Path], orientation: int
):
    path = picture(tmp_path / "a.jpg", exif=orientation)
    assert read_image_header(path).orientation == 1


def test_damaged_exif_is_upright(tmp_path: Path, picture: Callable[..., Path]):
    path = picture(tmp_path / "a.jpg", exif=6)
    data = bytearray(path.read_bytes())
    data[12 + 4 : 12 + 8] = b"\xff\xff\xff\xff"  # the directory lies beyond the end of the block
    path.write_bytes(data)
    assert read_image_header(path) == ImageHeader((40, 60), 1)


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "a.jpg: file is empty; expected a picture"),
        (b"hello, this is text", "a.jpg: not a picture (JPEG, PNG, WebP, BMP ...)"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "a.jpg: picture is cut off; copy the file again"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0", "a.jpg: picture is cut off; copy the file again"),
    ],
)
def test_broken_files_are_named(tmp_path: Path, content: bytes, message: str):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(DatasetError) as error:
        read_image_header(path)
    assert str(error.value) == f"{tmp_path}/{message}"


def test_missing_file(tmp_path: Path):
    with pytest.raises(DatasetError, match=r"a\.jpg: can't be read \(No such file or directory\)"):
        read_image_header(tmp_path / "a.jpg")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".gif", ".webp"])
def test_every_way_of_cutting_a_file_gives_a_header_or_our_error(
    tmp_path: Path, picture: Callable[..., Path], suffix: str
):
    data = picture(tmp_path / f"a{suffix}", (8, 9)).read_bytes()
    for length in range(len(data)):
        (tmp_path / "cut").write_bytes(data[:length])
        try:
            assert read_image_header(tmp_path / "cut").raw_hw == (8, 9)
        except DatasetError as error:
            assert str(tmp_path / "cut") in str(error)  # noqa: PT017  either outcome is right
