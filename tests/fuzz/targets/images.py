"""A picture: its header, its pixels, and what doctor makes of it."""

from __future__ import annotations

from pathlib import Path

from edge_retina.datasets.boundary import Boundary
from edge_retina.datasets.image_header import read_image_header
from edge_retina.doctor.data.picture_file import look_at_picture
from edge_retina.errors import EdgeRetinaError
from edge_retina.runtime.image import load_image
from tests.fuzz.target import Target


def check(content: bytes, name: str, directory: Path) -> None:
    """Read it in every way; where header and pixels can both be read, they agree in size."""
    path = directory / name
    path.write_bytes(content)
    look_at_picture(path, Boundary(directory))
    refusals, sizes = [], []
    try:
        sizes.append(read_image_header(path).image_hw)
    except EdgeRetinaError as error:
        refusals.append(error)
    try:
        sizes.append(load_image(path).shape[:2])
    except EdgeRetinaError as error:
        refusals.append(error)
    assert len(set(sizes)) < 2, f"two sizes: {sizes}"
    if refusals:
        raise refusals[0]


TARGET = Target("images", check)
