"""The pictures that all clients are given."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Sequence
from pathlib import Path

import cv2

from edge_retina.runtime.image import load_image, stretch

_SUFFIXES = {".jpg", ".jpeg", ".png"}
_ORIENTATION_TAG, _SHORT, _TURNED_LEFT = 0x0112, 3, 6  # 6: to be turned right by 90 degrees


def gather(sources: Sequence[tuple[Path, int]], out: Path) -> int:
    """Copy pictures to `out`, and one of each source turned with EXIF orientation; count them.

    Args:
        sources: (directory, how many of it, the first by name).
        out: the directory to be made.
    """
    out.mkdir(parents=True)
    for number, (directory, count) in enumerate(sources):
        found = sorted(path for path in directory.iterdir() if path.suffix.lower() in _SUFFIXES)
        for path in found[:count]:
            shutil.copy(path, out / f"{number}_{path.name}")
        (out / f"{number}_turned.jpg").write_bytes(turned(found[count - 1]))
    return len(list(out.iterdir()))


def stretched(source: Path, out: Path, image_hw: tuple[int, int]) -> None:
    """Write every picture of `source` at the network's size, without loss, so none resizes it."""
    out.mkdir(parents=True)
    for path in sorted(source.iterdir()):
        image = stretch(load_image(path), image_hw)
        cv2.imwrite(str(out / f"{path.stem}.png"), image[..., ::-1])


def turned(path: Path) -> bytes:
    """Return a JPEG whose pixels lie on their side and whose EXIF orientation says so."""
    lying = cv2.rotate(load_image(path)[..., ::-1], cv2.ROTATE_90_COUNTERCLOCKWISE)
    jpeg = cv2.imencode(".jpg", lying, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    entry = struct.pack(">HHIHH", _ORIENTATION_TAG, _SHORT, 1, _TURNED_LEFT, 0)
    tiff = b"MM\0*" + struct.pack(">IH", 8, 1) + entry + struct.pack(">I", 0)
    body = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]
