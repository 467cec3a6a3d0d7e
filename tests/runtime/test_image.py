"""Pictures that can't be decoded are said to be so, and cost nothing."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_retina.errors import DatasetError
from edge_retina.runtime.image import decode_image, jpeg_is_cut_off, load_image, normalize

END = b"\xff\xd9"

# In a process of its own: OpenCV reads its limit once, and memory is measured from the start.
LOAD = """
import sys
from pathlib import Path
from edge_retina.errors import DatasetError
from edge_retina.runtime.image import load_image

def most_kb():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmPeak:"))

before = most_kb()
try:
    load_image(sys.argv[1])
except DatasetError as error:
    print(error)
print((most_kb() - before) // 1024)
"""


def png(width: int, height: int) -> bytes:
    """A PNG whose header states a size, with a few pixels only."""

    def chunk(kind: bytes, data: bytes = b"") -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(3000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND")


def test_a_bomb_is_refused_before_memory_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png(20_000, 20_000))  # 1.2 GB of RGB
    result = subprocess.run(
        [sys.executable, "-c", LOAD, str(path)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).resolve().parents[2],
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    message, grown_mb = result.stdout.splitlines()
    assert message == (
        f"{path}: its header states more pixels than the allowed 178 million; "
        "make the picture smaller"
    )
    assert int(grown_mb) < 200


@pytest.mark.parametrize(
    "data, cut_off",
    [
        (b"\xff\xd8" + bytes(10) + END, False),
        (b"\xff\xd8" + bytes(10) + END + bytes(8), False),  # appended by a camera
        (b"\xff\xd8" + bytes(10), True),
        (b"\xff\xd8" + END + bytes(20), True),  # that of a thumbnail in the header
    ],
)
def test_the_end_of_a_jpeg(data: bytes, cut_off: bool) -> None:
    assert jpeg_is_cut_off(data) is cut_off


def test_a_jpeg_that_is_cut_off_is_not_filled_with_grey() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    data = cv2.imencode(".jpg", noise)[1].tobytes()
    assert decode_image(data, name="a.jpg").shape == (64, 64, 3)
    with pytest.raises(DatasetError, match=r"^a\.jpg: JPEG is cut off \(no end marker\)"):
        decode_image(data[: len(data) // 2], name="a.jpg")


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "file is empty; expected a picture"),
        (b"GIF, I say", "not a picture that OpenCV can decode"),
        (None, r"can't be read \(No such file or directory\); expected a picture"),
    ],
)
def test_what_is_not_a_picture(tmp_path: Path, data: bytes | None, message: str) -> None:
    path = tmp_path / "a.jpg"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(DatasetError, match=message):
        load_image(path)


def test_a_pixel_is_its_own_quantised_value() -> None:
    """What the uint8 input relies on: scale 1/128 and zero point 128 give back every pixel."""
    pixels = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(normalize(pixels) * 128 + 128, pixels)
