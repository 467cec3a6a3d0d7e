from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from edge_retina.cli.main import main
from tests.doctor.made import BOX, VocSet, encode, photo, with_orientation

TURN = (
    "an EXIF orientation: boxes are those of the upright image, and tools that ignore the tag "
    "misplace them; 'edge-retina doctor DATA --fix DIR' turns the pixels"
)
FORMAT = "which many tools don't read; convert to JPEG or PNG for these"


@pytest.fixture
def data(tmp_path: Path) -> VocSet:
    made = VocSet(tmp_path / "voc")
    made.add_sound(3)
    return made


def convert(data: VocSet, to: str, *more: object) -> Result:
    out = data.root.parent / to
    command = ["convert", data.root, "--to", to, "--out", out, "--force", *more]
    return CliRunner().invoke(main, list(map(str, command)))


def warnings(result: Result) -> list[str]:
    assert result.exit_code == 0, result.output
    return [line.removeprefix("warning: ") for line in result.stderr.splitlines()]


def test_ordinary_pictures_need_no_warning(data: VocSet) -> None:
    assert warnings(convert(data, "coco")) == []


@pytest.mark.parametrize("to", ["coco", "tfrecord"])
def test_each_kind_is_counted_and_its_first_named(data: VocSet, to: str) -> None:
    data.add("turned.jpg", BOX, data=with_orientation(encode(photo(97)), 6))
    data.add("upright.jpg", BOX, data=with_orientation(encode(photo(98)), 1))
    data.add("unknown.jpg", BOX, data=with_orientation(encode(photo(99)), 77))
    data.add("photo.webp", BOX, data=encode(photo(96), ".webp"))
    data.add("scan.tif", BOX, data=encode(photo(95), ".tif"))
    data.add("misnamed.jpg", BOX, data=encode(photo(94), ".webp"))
    found = warnings(convert(data, to, "--json", data.root.parent / "said.json"))
    folder = data.root / "JPEGImages"
    assert found == [
        f"2 images (first: {folder / 'turned.jpg'}) have {TURN}",
        f"2 images (first: {folder / 'misnamed.jpg'}) have the format WebP, {FORMAT}",
        f"1 image ({folder / 'scan.tif'}) has the format TIFF, {FORMAT}",
    ]
    assert json.loads((data.root.parent / "said.json").read_text())["warnings"] == found


def test_a_fixed_copy_needs_no_warning(data: VocSet) -> None:
    """The remedy that the warning names; the box of the copy is on the turned pixels."""
    data.add("turned.jpg", BOX, data=with_orientation(encode(photo(97)), 6))
    fixed = data.root.parent / "fixed"
    command = ["doctor", data.root, "--fix", fixed]
    assert CliRunner().invoke(main, list(map(str, command))).exit_code == 0
    height, width = cv2.imread(str(data.root / "JPEGImages" / "turned.jpg")).shape[:2]
    (copy,) = fixed.rglob("turned.jpg")
    stored = cv2.imread(str(copy), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    assert stored.shape[:2] == (height, width)
    assert np.abs(stored.astype(int) - cv2.imread(str(copy)).astype(int)).max() == 0
    assert warnings(convert(VocSet(fixed), "csv")) == []
