"""Videos as RGB frames, in and out, through OpenCV."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edge_retina.errors import DatasetError
from edge_retina.files import atomic_path

# What files of these kinds begin with. FFmpeg goes by the content, whatever the name says, and the
# content of a playlist would make it open other files and addresses.
_MARKS = (
    (4, (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"), "MP4 or QuickTime"),
    (0, (b"\x1aE\xdf\xa3",), "Matroska or WebM"),
    (8, (b"AVI ",), "AVI"),
)
_DEFAULT_FPS = 25.0  # for videos that don't state theirs


@dataclass(frozen=True)
class VideoInfo:
    """Size and timing of a video.

    Attributes:
        image_hw: (height, width) in pixels of the upright frames.
        fps: frames per second.
        frames: number of frames according to the file; 0 if it doesn't say.
    """

    image_hw: tuple[int, int]
    fps: float
    frames: int


def probe_video(path: Path) -> VideoInfo:
    """Read a video's size and timing.

    Raises:
        DatasetError: no frame can be read.
    """
    with _capture(path) as capture:
        decoded, frame = capture.read()
        if not decoded:
            raise DatasetError(f"{path}: no frame can be read; expected a video FFmpeg can decode")
        return VideoInfo(
            image_hw=(frame.shape[0], frame.shape[1]),
            fps=capture.get(cv2.CAP_PROP_FPS) or _DEFAULT_FPS,
            frames=max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT))),
        )


def read_frames(path: Path) -> Iterator[np.ndarray]:
    """Yield a video's frames as upright (H, W, 3) uint8 RGB images."""
    with _capture(path) as capture:
        while True:
            decoded, frame = capture.read()
            if not decoded:
                return
            yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)


class VideoFile:
    """An .mp4 that is being written."""

    def __init__(self, writer: cv2.VideoWriter) -> None:
        self._writer = writer
        self.frames = 0

    def write(self, frame_rgb: np.ndarray) -> None:
        """Append an (H, W, 3) uint8 RGB image of the video's size."""
        self._writer.write(cv2.cvtColor(frame_rgb, cv2.COLOR_RGB2BGR))
        self.frames += 1


@contextmanager
def create_video(path: Path, info: VideoInfo) -> Iterator[VideoFile]:
    """Write an .mp4 (MPEG-4 part 2), whole or not at all.

    Raises:
        DatasetError: this OpenCV can't encode it, or it could not be written whole.
    """
    height, width = info.image_hw
    with atomic_path(path) as temporary:
        codec = cv2.VideoWriter.fourcc(*"mp4v")  # the one codec that every OpenCV wheel can encode
        writer = cv2.VideoWriter(str(temporary), codec, info.fps, (width, height))
        try:
            if not writer.isOpened():
                raise DatasetError(
                    f"{path}: this OpenCV can't write mp4v video of {width}x{height}"
                )
            video = VideoFile(writer)
            yield video
        finally:
            writer.release()
        if _count_frames(temporary) != video.frames:  # OpenCV doesn't say when a write fails
            raise DatasetError(f"{path}: could not be written whole; is the disk full?")


def _count_frames(path: Path) -> int:
    """Return how many frames a file says it has; 0 if it has no end, where an .mp4 says so."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        return max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
    finally:
        capture.release()


@contextmanager
def _capture(path: Path) -> Iterator[cv2.VideoCapture]:
    _check_container(path)
    # The whole path: FFmpeg takes what stands before a colon for a protocol. No other reader: one
    # of OpenCV's takes numbers in a name for those of a series of images.
    capture = cv2.VideoCapture(os.path.abspath(path), cv2.CAP_FFMPEG)
    try:
        yield capture
    finally:
        capture.release()


def _check_container(path: Path) -> None:
    """Refuse what isn't a file of a known kind of video.

    Raises:
        DatasetError: it can't be read, or begins like none of them.
    """
    try:
        with open(path, "rb") as stream:
            head = stream.read(12)
    except OSError as error:
        raise DatasetError(f"{path}: can't be read ({error.strerror or error})") from None
    if not any(head[at : at + 4] in marks for at, marks, _ in _MARKS):
        kinds = ", ".join(kind for *_, kind in _MARKS)
        raise DatasetError(f"{path}: no video (it begins with {head!r}); expected {kinds}")
