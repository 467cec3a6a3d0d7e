"""Images and videos named on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_retina.errors import DatasetError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
VIDEO_SUFFIXES = frozenset({".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v"})


@dataclass(frozen=True)
class MediaFile:
    """An image or a video, and where its copy with boxes drawn goes.

    Attributes:
        source: the file.
        target: the file to write: an image of the same type, or an .mp4.
        is_video: whether it is a video.
    """

    source: Path
    target: Path
    is_video: bool


def find_media(inputs: Sequence[Path], out: Path) -> list[MediaFile]:
    """List the media files: images before videos, each in the order given.

    Args:
        inputs: image or video files, or directories that are searched recursively.
        out: directory for the copies; subdirectories of an input directory are kept.

    Raises:
        DatasetError: an input is missing, of an unknown type or a directory without media, or two
            inputs have the same target.
    """
    found = [item for given in inputs for item in _find(given, out)]
    sources: dict[Path, Path] = {}
    for item in found:
        other = sources.setdefault(item.target, item.source)
        if other != item.source:
            raise DatasetError(
                f"{other} and {item.source} would both be written to {item.target}; "
                "run the command once for each, with different --out"
            )
    unique = {item.source: item for item in found}
    return sorted(unique.values(), key=lambda item: item.is_video)


def _find(given: Path, out: Path) -> list[MediaFile]:
    if given.is_dir():
        found = (path for path in given.rglob("*") if _kind(path) is not None)
        files = sorted(path for path in found if path.is_file())
        if not files:
            raise DatasetError(f"{given}: no image or video in this directory; {_allowed()}")
        return [_media(path, out / path.relative_to(given)) for path in files]
    if not given.exists():
        raise DatasetError(f"{given}: no such file or directory; expected an image or a video")
    if not given.is_file():  # a pipe or a device may never end
        raise DatasetError(f"{given}: no ordinary file; expected an image or a video")
    if _kind(given) is None:
        raise DatasetError(f"{given}: unknown file type '{given.suffix}'; {_allowed()}")
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
