"""Pictures and videos that a user names on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_retina.errors import DatasetError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
VIDEO_SUFFIXES = frozenset({".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v"})


@dataclass(frozen=True)
class MediaFile:
    """A picture or a video, and where the same with boxes drawn goes.

    Attributes:
        source: the file.
        target: the file to write: a picture of the same type, or an .mp4.
        is_video: which of the two.
    """

    source: Path
    target: Path
    is_video: bool


def find_media(inputs: Sequence[Path], out: Path) -> list[MediaFile]:
    """List what to look at: pictures before videos, each in the order given.

    Args:
        inputs: picture or video files, or directories of them (with what lies deeper).
        out: directory for the drawn ones; below a directory's path its own order is kept.

    Raises:
        DatasetError: missing, of an unknown type, a directory without any, two with one target.
    """
    found = [item for given in inputs for item in _find(given, out)]
    sources: dict[Path, Path] = {}
    for item in found:
        other = sources.setdefault(item.target, item.source)
        if other != item.source:
            raise DatasetError(
                f"{other} and {item.source} would both be drawn to {item.target}; "
                "name them in two calls with different --out"
            )
    unique = {item.source: item for item in found}
    return sorted(unique.values(), key=lambda item: item.is_video)


def _find(given: Path, out: Path) -> list[MediaFile]:
    if given.is_dir():
        files = sorted(path for path in given.rglob("*") if _kind(path) is not None)
        if not files:
            raise DatasetError(f"{given}: no picture or video in this directory; {_allowed()}")
        return [_media(path, out / path.relative_to(given)) for path in files]
    if not given.exists():
        raise DatasetError(f"{given}: no such file or directory; expected a picture or a video")
    if _kind(given) is None:
        raise DatasetError(f"{given}: '{given.suffix}' is no known type; {_allowed()}")
    return [_media(given, out / given.name)]


def _media(source: Path, target: Path) -> MediaFile:
    is_video = _kind(source) == "video"
    return MediaFile(source, target.with_suffix(".mp4") if is_video else target, is_video)


def _kind(path: Path) -> str | None:
    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return "image"
    return "video" if suffix in VIDEO_SUFFIXES else None


def _allowed() -> str:
    return f"allowed: {' '.join(sorted(IMAGE_SUFFIXES | VIDEO_SUFFIXES))}"
