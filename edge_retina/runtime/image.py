"""Pictures from disk to the network's input, the same way everywhere.

Training, calibration, evaluation and the device all resize with `stretch`: bilinear with half-pixel
centres and no antialiasing, because that is what mobile clients do to a frame. Area or antialiased
resizing differs from it by 20-30 grey levels on texture.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edge_retina import MAX_IMAGE_PIXELS
from edge_retina.errors import DatasetError
from edge_retina.runtime.picture_size import FORMATS, count_scans, stated_pixels
from edge_retina.stored_files import read_bytes

# (uint8 - MEAN) / STD is the network's input. 128 and 128 make the int8 input exact: scale 1/128
# and zero point 128, so a pixel value is its own quantised value and padding zeros stay zeros.
MEAN = 128.0
STD = 128.0
# Pictures of few colours may be small files, but up to these pixels they are decoded in 0.2 GB.
# Above, a photo has one byte for some 10 pixels; what has one for 200 was made to fill the memory.
_FREE_PIXELS = 40_000_000
_MOST_PIXELS_PER_BYTE = 200
_MOST_SCANNED_PIXELS = 12 * MAX_IMAGE_PIXELS  # encoders write about ten scans, and small pictures
_PNG_START = b"\x89PNG\r\n\x1a\n"
_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"  # ITU-T T.81, table B.1: SOI and EOI


def load_image(path: Path | str) -> np.ndarray:
    """Read a picture upright (EXIF orientation applied) as (H, W, 3) uint8 RGB.

    Raises:
        DatasetError: missing, empty, truncated, not a picture, or too many pixels.
    """
    try:
        data = read_bytes(path)
    except OSError as error:
        reason = error.strerror or error
        raise DatasetError(f"{path}: can't be read ({reason}); expected a picture") from None
    return decode_image(data, name=str(path))


def decode_image(data: bytes, *, name: str) -> np.ndarray:
    """Decode an encoded picture upright as (H, W, 3) uint8 RGB; `name` is for the error message."""
    if not data:
        raise DatasetError(f"{name}: file is empty; expected a picture")
    if data[:2] == _JPEG_START and jpeg_is_cut_off(data):
        raise DatasetError(f"{name}: JPEG is cut off (no end marker); copy the file again")
    if _png_chunk_beyond(data):
        raise DatasetError(f"{name}: PNG is cut off or damaged; copy the file again")
    refuse_bomb(data, name)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error as error:
        if "CV_IO_MAX_IMAGE" in error.err:  # see edge_retina/__init__.py
            raise DatasetError(
                f"{name}: its header states more pixels than the allowed "
                f"{MAX_IMAGE_PIXELS // 10**6} million; make the picture smaller"
            ) from None
        raise DatasetError(f"{name}: can't be decoded ({error.err}); expected a picture") from None
    if image is None:
        raise DatasetError(f"{name}: not a picture that OpenCV can decode ({FORMATS})")
    return image


def refuse_bomb(data: bytes, name: str) -> None:
    """Refuse what is small and takes gigabytes, minutes, or a decoder that nothing else needs.

    Raises:
        DatasetError: says which.
    """
    pixels = stated_pixels(data)
    if pixels is None:
        raise DatasetError(f"{name}: not a picture that OpenCV can decode ({FORMATS})")
    if pixels > MAX_IMAGE_PIXELS:
        raise DatasetError(
            f"{name}: its header states more pixels than the allowed "
            f"{MAX_IMAGE_PIXELS // 10**6} million; make the picture smaller"
        )
    if pixels > max(_FREE_PIXELS, _MOST_PIXELS_PER_BYTE * len(data)):
        raise DatasetError(
            f"{name}: states {pixels // 10**6} million pixels in {len(data)} bytes, as no photo "
            "does (a guard against decompression bombs); make the picture smaller"
        )
    if data[:2] == _JPEG_START and count_scans(data) * pixels > _MOST_SCANNED_PIXELS:
        raise DatasetError(
            f"{name}: a JPEG of {pixels // 10**6} million pixels in {count_scans(data)} scans, "
            "which takes minutes to decode; save it again as a baseline JPEG"
        )


def jpeg_is_cut_off(data: bytes) -> bool:
    """Whether the end of a JPEG file's content is missing.

    libjpeg fills what is missing with grey and only warns, so the end marker is looked for. Some
    cameras append data after it, hence anywhere in the second half of the file.
    """
    return data.rfind(_JPEG_END) < len(data) // 2


def _png_chunk_beyond(data: bytes) -> bool:
    """Whether a chunk of a PNG is said to be longer than the whole file.

    OpenCV asks for the memory of a chunk before it reads it, up to 2 GB.

    Source: PNG, third edition, 5.3: length (4 bytes), type (4), data, checksum (4).
    """
    at = len(_PNG_START)
    if data[:at] != _PNG_START:
        return False
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if length > len(data):
            return True
        if data[at + 4 : at + 8] == b"IEND":
            break
        at += length + 12
    return False


def stretch(image_rgb: np.ndarray, image_hw: tuple[int, int]) -> np.ndarray:
    """Resize an (H, W, 3) uint8 image to `image_hw` without keeping its aspect ratio."""
    height, width = image_hw
    return cv2.resize(image_rgb, (width, height), interpolation=cv2.INTER_LINEAR)


def normalize(image_u8: np.ndarray) -> np.ndarray:
    """Map uint8 0..255 to the float32 network input, (x - 128) / 128."""
    return (image_u8.astype(np.float32) - np.float32(MEAN)) / np.float32(STD)
