"""Pictures that other tools may read in another way, or not at all: they are copied as they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge_retina.datasets.image_header import read_image_header
from edge_retina.datasets.pillow import identify
from edge_retina.datasets.schema import Dataset, Example
from edge_retina.datasets.threads import map_in_threads
from edge_retina.datasets.writers import unique_examples
from edge_retina.stored_files import open_binary

_NOT_EVERYWHERE = ("WebP", "TIFF")
_HEAD_BYTES = 16


def portability_warnings(dataset: Dataset) -> tuple[str, ...]:
    """Return a line for pictures with an EXIF orientation and one for WebP and TIFF files.

    Each says how many there are, names the first, and says what to do. Headers are read, no pixels.

    Raises:
        ImageError: a picture has no readable header.
    """
    examples = sorted(unique_examples(dataset), key=lambda item: item.path)
    looks = map_in_threads(_look, [example.path for example in examples])
    turned = [item for item, (is_turned, _) in zip(examples, looks, strict=True) if is_turned]
    lines = []
    if turned:
        lines.append(
            f"{_count(turned)} an EXIF orientation: boxes are those of the upright image, and "
            "tools that ignore the tag misplace them; 'edge-retina doctor DATA --fix DIR' turns "
            "the pixels"
        )
    for name in _NOT_EVERYWHERE:
        found = [item for item, (_, form) in zip(examples, looks, strict=True) if form == name]
        if found:
            lines.append(
                f"{_count(found)} the format {name}, which many tools don't read; convert to JPEG "
                "or PNG for these"
            )
    return tuple(lines)


def _look(path: Path) -> tuple[bool, str]:
    """Return whether a picture has an EXIF orientation that matters, and its format."""
    header = read_image_header(path)
    with open_binary(path) as stream:
        form = identify(stream.read(_HEAD_BYTES)) or ""
    return header.orientation != 1 or header.invalid_orientation is not None, form


def _count(examples: Sequence[Example]) -> str:
    first = examples[0].path
    if len(examples) == 1:
        return f"1 image ({first}) has"
    return f"{len(examples)} images (first: {first}) have"
