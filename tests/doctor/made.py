"""What the tests of the doctor make: pictures of every kind, and small data sets of them."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import cv2
import numpy as np

from edge_retina.config import Config, load_config
from edge_retina.doctor.data.examine import Diagnosis, examine
from edge_retina.doctor.findings import Finding

HW = (96, 128)  # of the pictures that `photo` makes
BOX = ("cat", 20, 30, 60, 70)  # label, xmin, ymin, xmax, ymax: nothing is wrong with it


def photo(seed: int, image_hw: tuple[int, int] = HW) -> np.ndarray:
    """A picture of soft random colours that resembles no other one."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    return cv2.resize(coarse, image_hw[::-1], interpolation=cv2.INTER_CUBIC)


def encode(picture: np.ndarray, suffix: str = ".jpg") -> bytes:
    done, data = cv2.imencode(suffix, picture)
    assert done
    return data.tobytes()


def voc_xml(
    name: str, objects: tuple[tuple[Any, ...], ...], size_hw: tuple[int, int] | None
) -> str:
    size = "" if size_hw is None else f"<height>{size_hw[0]}</height><width>{size_hw[1]}</width>"
    items = "".join(
        f"<object><name>{label}</name><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax>"
        f"<ymax>{y2}</ymax></bndbox></object>"
        for label, x1, y1, x2, y2 in objects
    )
    return f"<annotation><filename>{escape(name)}</filename><size>{size}</size>{items}</annotation>"


class VocSet:
    """A Pascal VOC data set that is written picture by picture."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._seed = 0

    def add(
        self,
        name: str,
        *objects: tuple[Any, ...],
        data: bytes | None = None,
        size_hw: tuple[int, int] | None = HW,
        split: str = "train",
    ) -> Path:
        """Write a picture (of its own look, unless `data` is given), its XML and its list entry."""
        self._seed += 1
        if data is None:
            data = encode(photo(self._seed), Path(name).suffix)
        stem = Path(name).with_suffix("").as_posix()
        picture = self._write(f"JPEGImages/{name}", data)
        self._write(f"Annotations/{stem}.xml", voc_xml(name, objects, size_hw).encode())
        listing = self.root / "ImageSets" / "Main" / f"{split}.txt"
        known = listing.read_text() if listing.exists() else ""
        self._write(f"ImageSets/Main/{split}.txt", f"{known}{stem}\n".encode())
        return picture

    def add_sound(self, count: int, *, split: str = "train", first: int = 0) -> None:
        """Add pictures with which nothing is wrong."""
        for number in range(first, first + count):
            self.add(f"sound{number}.jpg", BOX, split=split)

    def _write(self, name: str, data: bytes) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path


def diagnose(path: Path, **changes: Any) -> Diagnosis:
    """Examine a data set; `changes` are config fields by name."""
    return examine(path, config=small_config(**changes))


def codes(diagnosis: Diagnosis) -> dict[str, Finding]:
    """The findings by code."""
    found = {finding.code: finding for finding in diagnosis.findings}
    assert len(found) == len(diagnosis.findings), "a code is reported twice"
    return found


def small_config(**changes: Any) -> Config:
    overrides = {"model.image_size": 96, "model.max_level": 5, **changes}
    return load_config(overrides=[f"{key}={value}" for key, value in overrides.items()])


def two_frame_gif(image_hw: tuple[int, int] = HW) -> bytes:
    """A GIF of two black frames, LZW-coded without ever using its dictionary."""
    height, width = image_hw
    codes = [4, 0, 0] * (height * width // 2) + [5]  # clear, two pixels, ...; end
    bits = "".join(f"{code:03b}"[::-1] for code in codes)
    packed = bytes(int(bits[i : i + 8][::-1], 2) for i in range(0, len(bits), 8))
    blocks = b"".join(
        bytes([len(packed[i : i + 255])]) + packed[i : i + 255] for i in range(0, len(packed), 255)
    )
    frame = b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02" + blocks + b"\0"
    screen = struct.pack("<HHBBB", width, height, 0x81, 0, 0) + bytes(12)
    return b"GIF89a" + screen + frame + frame + b";"


def cmyk_jpeg(image_hw: tuple[int, int] = HW) -> bytes:
    """A baseline JPEG with four components, every block of middle grey."""
    height, width = image_hw

    def segment(marker: int, content: bytes) -> bytes:
        return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content

    ids = range(1, 5)
    frame = struct.pack(">BHHB", 8, height, width, 4)
    frame += b"".join(bytes([number, 0x11, 0]) for number in ids)
    # One Huffman code, "0", for DC difference 0 and for end of block: two bits a block
    table = bytes([1] + [0] * 15 + [0])
    scan = bytes([4]) + b"".join(bytes([number, 0]) for number in ids) + bytes([0, 63, 0])
    blocks = (height // 8) * (width // 8) * 4
    return (
        b"\xff\xd8"
        + segment(0xDB, bytes([0] + [1] * 64))
        + segment(0xC0, frame)
        + segment(0xC4, bytes([0x00]) + table + bytes([0x10]) + table)
        + segment(0xDA, scan)
        + bytes(blocks * 2 // 8)
        + b"\xff\xd9"
    )


def with_orientation(jpeg: bytes, orientation: int) -> bytes:
    """Put an EXIF orientation behind the start marker of a JPEG."""
    tiff = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(tiff) + 8) + b"Exif\0\0" + tiff + jpeg[2:]
