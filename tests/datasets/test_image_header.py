from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_retina.datasets.image_header import ImageHeader, read_image_header
from edge_retina.errors import DatasetError, ImageError
from edge_retina.runtime.image import load_image


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
    assert read_image_header(path) == ImageHeader((40, 60), 1, invalid_orientation=orientation)


@pytest.mark.parametrize("count", [1, 3, 0x80001], ids=["one", "elsewhere", "beyond the file"])
def test_orientations_of_any_count_are_read_as_opencv_does(
    tmp_path: Path, exif: Callable[..., bytes], count: int
):
    _, encoded = cv2.imencode(".jpg", np.zeros((40, 60, 3), np.uint8))
    data = exif(encoded.tobytes(), 6, ">")
    entry = struct.pack(">HHI", 0x0112, 3, 1)
    assert entry in data
    path = tmp_path / "a.jpg"
    path.write_bytes(data.replace(entry, struct.pack(">HHI", 0x0112, 3, count)))
    assert read_image_header(path).orientation == 6
    assert read_image_header(path).image_hw == cv2.imread(str(path)).shape[:2]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [1, 3, 4], ids=["BYTE", "SHORT", "LONG"])
@pytest.mark.parametrize("orientation", [1, 6, 9, 65537, 65542, 6 << 16])
def test_orientations_of_any_type_are_read_as_opencv_does(
    tmp_path: Path, exif: Callable[..., bytes], order: str, kind: int, orientation: int
):
    field = struct.pack(f"{order}I", orientation)
    if kind < 4:
        field = struct.pack(f"{order}H", orientation & 0xFFFF) + b"\0\0"
    if kind == 1:
        field = bytes([orientation & 0xFF, 0, 0, 0])
    _, encoded = cv2.imencode(".jpg", np.zeros((40, 60, 3), np.uint8))
    data = exif(encoded.tobytes(), 1, order)
    entry = struct.pack(f"{order}HHI", 0x0112, 3, 1)
    at = data.index(entry)
    changed = struct.pack(f"{order}HHI", 0x0112, kind, 1) + field
    path = tmp_path / "a.jpg"
    path.write_bytes(data[:at] + changed + data[at + 12 :])
    header = read_image_header(path)
    assert header.image_hw == cv2.imread(str(path)).shape[:2]
    if kind == 4:
        stated = orientation
        assert header.invalid_orientation == (None if stated in range(1, 9) else stated)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("stated", [3, 6, 9, 65537])
def test_orientation_of_tiff(tmp_path: Path, order: str, stated: int):
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(stated, order))
    header = read_image_header(path)
    assert header.raw_hw == (4, 6)
    assert header.image_hw == load_image(path).shape[:2]
    known = stated in range(1, 9)
    assert header.orientation == (stated if known else 1)
    assert header.invalid_orientation == (None if known else stated)


def tiff(orientation: int, order: str) -> bytes:
    """A 6 x 4 RGB picture with an orientation of type LONG."""
    values = {256: 6, 257: 4, 258: 134, 259: 1, 262: 2, 273: 140, 274: orientation, 277: 3}
    values |= {278: 4, 279: 72}
    entries = b"".join(
        struct.pack(f"{order}HHII", tag, 3 if tag == 258 else 4, 3 if tag == 258 else 1, value)
        for tag, value in values.items()
    )
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(values))
    return head + entries + struct.pack(f"{order}I3H", 0, 8, 8, 8) + bytes(72)


def test_pixel_types_that_only_opencv_knows(tmp_path: Path):
    path = tmp_path / "a.tif"
    assert cv2.imwrite(str(path), np.ones((40, 60, 3), np.int16))
    assert cv2.imread(str(path)) is not None
    assert read_image_header(path) == ImageHeader((40, 60))


def test_orientation_in_xmp_is_ignored_as_opencv_does(tmp_path: Path, picture: Callable):
    path = picture(tmp_path / "a.jpg")
    data = path.read_bytes()
    xmp = b'http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation="6"/>'
    segment = b"\xff\xe1" + struct.pack(">H", len(xmp) + 2) + xmp
    path.write_bytes(data[:2] + segment + data[2:])
    assert read_image_header(path) == ImageHeader((40, 60))
    assert cv2.imread(str(path)).shape[:2] == (40, 60)


def test_a_png_chunk_with_a_wrong_checksum_is_ignored(
    tmp_path: Path, tiff_exif: Callable[..., bytes]
):
    data = cv2.imencode(".png", np.zeros((20, 40, 3), np.uint8))[1].tobytes()
    block = b"eXIf" + tiff_exif(6)
    path = tmp_path / "a.png"
    path.write_bytes(data[:33] + struct.pack(">I", len(block) - 4) + block + bytes(4) + data[33:])
    assert read_image_header(path) == ImageHeader((20, 40))
    assert cv2.imread(str(path)).shape[:2] == (20, 40)


def test_pixels_are_not_decoded_and_nothing_is_warned_of(
    tmp_path: Path, picture: Callable[..., Path], recwarn: pytest.WarningsRecorder
):
    """Half of Pillow's own limit is where it begins to warn."""
    path = picture(tmp_path / "a.jpg")
    data = bytearray(path.read_bytes())
    struct.pack_into(">HH", data, data.index(b"\xff\xc0") + 5, 12_000, 14_000)
    path.write_bytes(data)
    assert read_image_header(path).raw_hw == (12_000, 14_000)
    assert not recwarn.list


def test_damaged_exif_is_upright(tmp_path: Path, picture: Callable[..., Path]):
    path = picture(tmp_path / "a.jpg", exif=6)
    data = bytearray(path.read_bytes())
    data[12 + 4 : 12 + 8] = b"\xff\xff\xff\xff"  # the directory lies beyond the end of the block
    path.write_bytes(data)
    assert read_image_header(path) == ImageHeader((40, 60), 1)


@pytest.mark.parametrize(
    "content, message, code",
    [
        (b"", "a.jpg: file is empty; expected an image", "empty-file"),
        (
            b"hello, this is text",
            "a.jpg: not an image; expected JPEG, PNG, GIF, BMP, WebP or TIFF",
            "unreadable-image",
        ),
        (
            b"\xff\xd8\xff\xc0\x00\x11\x0c" + bytes(99),
            "a.jpg: image header is damaged or unsupported; export the file again",
            "unreadable-image",
        ),
        (
            b"\xff\xd8\xff\xe0\x00\x10JFIF",
            "a.jpg: image is cut off; copy the file again",
            "truncated-image",
        ),
        (
            b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0",
            "a.jpg: image is cut off; copy the file again",
            "truncated-image",
        ),
    ],
)
def test_broken_files_are_named(tmp_path: Path, content: bytes, message: str, code: str):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(ImageError) as error:
        read_image_header(path)
    assert str(error.value) == f"{tmp_path}/{message}"
    assert error.value.code == code
    assert str(error.value).endswith(error.value.reason)


def test_missing_file(tmp_path: Path):
    reason = r"a\.jpg: can't be read \(No such file or directory\)"
    with pytest.raises(ImageError, match=reason) as error:
        read_image_header(tmp_path / "a.jpg")
    assert error.value.code == "missing-image"


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
