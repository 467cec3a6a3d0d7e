"""One look at an image file: is it whole, what is it, and what does it resemble?

Every file is read once and decoded once, in grey and reduced: enough to know that it can be decoded
and to compare it with others.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edge_retina.datasets.boundary import Boundary
from edge_retina.datasets.image_header import ImageHeader, read_image_header
from edge_retina.doctor.data.file_format import FileFormat, sniff_format
from edge_retina.errors import DatasetError, ImageCode, ImageError
from edge_retina.runtime.image import jpeg_is_cut_off, refuse_bomb
from edge_retina.stored_files import read_bytes

THUMBNAIL_SIDE = 16
_HASH_SOURCE_SIDE = 32  # the DCT's input; the hash is its 8x8 lowest frequencies
_REDUCED = (  # libjpeg scales by these while decoding, which skips most of the work
    (8, cv2.IMREAD_REDUCED_GRAYSCALE_8),
    (4, cv2.IMREAD_REDUCED_GRAYSCALE_4),
    (2, cv2.IMREAD_REDUCED_GRAYSCALE_2),
)


@dataclass(frozen=True)
class PictureFile:
    """What was seen.

    Attributes:
        path: of the file.
        trouble: why it can't be used; None if it can.
        reason: the same in words.
        format: None if unknown.
        header: size and orientation; None if there is trouble.
        sha256: of the file's content, as hex digits; empty if there is none.
        look: 64-bit hash of what it shows, see `perceptual_hash`.
        thumbnail: (16, 16) uint8 grey; None if there is trouble.
    """

    path: Path
    trouble: ImageCode | None = None
    reason: str = ""
    format: FileFormat | None = None
    header: ImageHeader | None = None
    sha256: str = ""
    look: int = 0
    thumbnail: np.ndarray | None = None


def look_at_picture(path: Path, boundary: Boundary) -> PictureFile:
    """Read and decode one file; whatever is wrong with it is in the result, never raised."""
    refusal = boundary.refusal(path)
    if refusal is not None:
        return PictureFile(path, "unreadable-image", refusal)
    try:
        header = read_image_header(path)
        data = read_bytes(path)
        refuse_bomb(data, str(path))
    except ImageError as error:
        return PictureFile(path, error.code, error.reason)
    except DatasetError as error:
        return PictureFile(path, "unreadable-image", str(error).removeprefix(f"{path}: "))
    except OSError as error:
        return PictureFile(path, "unreadable-image", str(error.strerror or error))
    kind, digest = sniff_format(data), hashlib.sha256(data).hexdigest()
    if kind is not None and _is_cut_off(data, kind):
        reason = f"the {kind.name} data end too early"
        return PictureFile(path, "truncated-image", reason, kind, sha256=digest)
    grey = _decode_reduced(data, header)
    if grey is None:
        reason = "its header is valid but OpenCV can't decode the pixels"
        return PictureFile(path, "unreadable-image", reason, kind, sha256=digest)
    side = (THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    return PictureFile(
        path,
        format=kind,
        header=header,
        sha256=digest,
        look=perceptual_hash(grey),
        thumbnail=cv2.resize(grey, side, interpolation=cv2.INTER_AREA),
    )


def perceptual_hash(grey: np.ndarray) -> int:
    """Return a 64-bit hash of an (H, W) uint8 image that similar images nearly share.

    A bit says whether one of the 8x8 lowest frequencies of the 32x32 image is above their median,
    which re-encoding, resizing and a change of brightness leave nearly as it was.

    Source: Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions (2010),
    section 3.2.1.
    """
    side = (_HASH_SOURCE_SIDE, _HASH_SOURCE_SIDE)
    small = cv2.resize(grey, side, interpolation=cv2.INTER_AREA).astype(np.float32)
    low = cv2.dct(small)[:8, :8].ravel()
    bits = low > np.median(low[1:])  # the first is the mean brightness, far above all others
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def _decode_reduced(data: bytes, header: ImageHeader) -> np.ndarray | None:
    shortest = min(header.raw_hw)
    fitting = (flag for factor, flag in _REDUCED if shortest // factor >= 2 * _HASH_SOURCE_SIDE)
    flag = next(fitting, cv2.IMREAD_GRAYSCALE)
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    except cv2.error:
        return None  # said by the caller


def _is_cut_off(data: bytes, kind: FileFormat) -> bool:
    """Whether the end is missing; decoders fill a JPEG or WebP with grey and only warn."""
    if kind.name == "JPEG":
        return jpeg_is_cut_off(data)
    if kind.name == "PNG":
        return data.rfind(b"IEND") < 0
    if kind.name == "WebP":
        return len(data) < int.from_bytes(data[4:8], "little") + 8
    if kind.name == "BMP":
        return len(data) < int.from_bytes(data[2:6], "little")
    return False
