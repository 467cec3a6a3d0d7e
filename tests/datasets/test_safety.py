"""What a data set from elsewhere must not be able to do: read other files, or fill the memory."""

from __future__ import annotations

import os
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_retina import MAX_IMAGE_PIXELS
from edge_retina.datasets import load_dataset
from edge_retina.datasets.boundary import Boundary
from edge_retina.datasets.image_header import read_image_header
from edge_retina.errors import DatasetError
from edge_retina.stored_files import stored_path

Write = Callable[..., Path]
LAYOUTS = ("coco", "voc", "yolo", "csv")
LEADS_OUT = "leads out of the data set"


def png_header(width: int, height: int) -> bytes:
    """A PNG whose header states a size, with no pixels at all."""

    def chunk(kind: bytes, data: bytes = b"") -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT") + chunk(b"IEND")


@pytest.fixture
def make(tmp_path: Path, picture: Write, voc_xml: Write, coco_json: Write) -> Callable[..., Path]:
    """Write a data set of two pictures, `a.jpg` and `b.jpg`, and return its directory."""

    def write(layout: str) -> Path:
        root = tmp_path / "data"
        if layout == "coco":
            coco_json(root, [("a.jpg", [(1, [6, 4, 24, 16])]), ("b.jpg", [])])
        elif layout == "voc":
            voc_xml(root, "a", ("cat", 6, 4, 30, 20))
            voc_xml(root, "b")
        else:
            picture(root / "images" / "a.jpg")
            picture(root / "images" / "b.jpg")
        if layout == "yolo":
            (root / "labels").mkdir()
            (root / "labels" / "a.txt").write_text("0 0.3 0.3 0.4 0.4\n")
            (root / "classes.txt").write_text("cat\n")
        if layout == "csv":
            (root / "train.csv").write_text("a.jpg,6,4,30,20,cat\nb.jpg,,,,,\n")
        return root

    return write


def pictures(root: Path) -> Path:
    return root / ("JPEGImages" if (root / "JPEGImages").is_dir() else "images")


def annotation_file(root: Path) -> Path:
    names = (
        "annotations/instances_train.json",
        "Annotations/a.xml",
        "labels/a.txt",
        "train.csv",
    )
    return next(path for name in names if (path := root / name).exists())


def usable(root: Path) -> int:
    return sum(len(split) for split in load_dataset(root, skip_invalid=True).splits.values())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_data_set_itself_is_right(make: Callable[..., Path], layout: str):
    root = make(layout)
    assert usable(root) == 2
    load_dataset(root)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_picture_that_links_out(make: Callable[..., Path], picture: Write, layout: str):
    root = make(layout)
    secret = picture(root.parent / "secret.jpg")
    link = pictures(root) / "b.jpg"
    link.unlink()
    link.symlink_to(secret)
    with pytest.raises(DatasetError) as error:
        load_dataset(root)
    assert f"{link}: symbolic link {LEADS_OUT} (to {secret}); copy the files" in str(error.value)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_directory_of_pictures_that_links_out(make: Callable[..., Path], layout: str):
    root = make(layout)
    outside = root.parent / "outside"
    pictures(root).rename(outside)
    (root / "images").symlink_to(outside)
    with pytest.raises(DatasetError, match=f"symbolic link {LEADS_OUT}"):
        load_dataset(root)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_annotations_that_link_out(make: Callable[..., Path], layout: str):
    root = make(layout)
    path = annotation_file(root)
    outside = root.parent / f"secret{path.suffix}"
    path.rename(outside)
    path.symlink_to(outside)
    with pytest.raises(DatasetError) as error:
        load_dataset(root, skip_invalid=True)
    assert str(error.value).startswith(f"{path}: symbolic link {LEADS_OUT} (to {outside});")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_directory_of_annotations_that_links_out(make: Callable[..., Path], layout: str):
    root = make(layout)
    directory = annotation_file(root).parent
    if directory == root:
        directory = root / "csv"
        directory.mkdir()
        (root / "train.csv").rename(directory / "train.csv")
    outside = root.parent / "outside"
    directory.rename(outside)
    directory.symlink_to(outside)
    with pytest.raises(DatasetError, match=f"symbolic link {LEADS_OUT}"):
        load_dataset(root, skip_invalid=True)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_links_within_the_data_set_and_to_it_are_followed(make: Callable[..., Path], layout: str):
    root = make(layout)
    path = pictures(root) / "b.jpg"
    path.rename(root / "kept.bin")
    path.symlink_to(root / "kept.bin")
    alias = root.parent / "alias"
    alias.symlink_to(root)
    load_dataset(root)
    load_dataset(alias)


@pytest.mark.parametrize("layout", ["voc", "yolo"])
def test_links_in_circles_come_to_an_end(make: Callable[..., Path], layout: str):
    root = make(layout)
    (pictures(root) / "again").symlink_to(root)
    (root / "other").mkdir()
    (root / "other" / "back").symlink_to(pictures(root))
    (pictures(root) / "forth").symlink_to(root / "other")
    assert usable(root) >= 2


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_picture_made_to_fill_the_memory(make: Callable[..., Path], layout: str):
    root = make(layout)
    (pictures(root) / "b.jpg").write_bytes(png_header(60_000, 60_000))
    with pytest.raises(DatasetError) as error:
        load_dataset(root)
    message = "b.jpg: header states 60000x60000, more than the allowed 178 million pixels (a guard"
    assert message in str(error.value)
    assert usable(root) == 1


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_named_pipe_is_not_waited_for(make: Callable[..., Path], layout: str):
    root = make(layout)
    path = pictures(root) / "b.jpg"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(DatasetError, match=r"b\.jpg"):
        load_dataset(root)


@pytest.mark.parametrize("name", ["../secret.jpg", "x/../../secret.jpg", "/etc/secret.jpg"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_path_that_leads_out(make: Callable[..., Path], picture: Write, layout: str, name: str):
    root = make(layout)
    picture(root.parent / "secret.jpg")
    path = annotation_file(root)
    if layout == "yolo":
        path = root / "train.txt"
        path.write_text("images/a.jpg\n" + name.replace("../", "../../") + "\n")
        (root / "data.yaml").write_text("train: train.txt\nnames: [cat]\n")
    else:
        path.write_text(path.read_text().replace("a.jpg", name))
    if layout == "voc":  # a picture named like the XML would be taken before its `filename`
        (root / "JPEGImages" / "a.jpg").unlink()
    said = "is absolute" if name.startswith("/") and layout != "csv" else LEADS_OUT
    with pytest.raises(DatasetError, match=said):
        load_dataset(root)


@pytest.mark.parametrize(
    "size, allowed",
    [
        ((MAX_IMAGE_PIXELS, 1), True),
        ((MAX_IMAGE_PIXELS + 1, 1), False),
        ((14_000, 12_000), True),
        ((14_000, 13_000), False),
        ((2**32 - 1, 2**32 - 1), False),
    ],
)
def test_the_limit_of_pixels(tmp_path: Path, size: tuple[int, int], allowed: bool):
    path = tmp_path / "a.png"
    path.write_bytes(png_header(*size))
    if allowed:
        assert read_image_header(path).raw_hw == size[::-1]
    else:
        with pytest.raises(DatasetError, match="allowed 178 million pixels"):
            read_image_header(path)


def with_size(data: bytes, fmt: str, *places: int) -> bytes:
    """Return a picture file with 60,000 written over each side in its header."""
    changed = bytearray(data)
    for place in places:
        struct.pack_into(fmt, changed, place, 60_000)
    return bytes(changed)


def test_bombs_of_every_format(tmp_path: Path, picture: Write):
    plain = {
        suffix: picture(tmp_path / f"a{suffix}", (40, 60)).read_bytes()
        for suffix in (".jpg", ".bmp", ".gif", ".tif")
    }
    frame = plain[".jpg"].index(b"\xff\xc0") + 5
    start = struct.unpack_from("<I", plain[".tif"], 4)[0] + 2
    sides = (38_000).to_bytes(3, "little") * 2
    bombs = {
        "a.jpg": with_size(plain[".jpg"], ">H", frame, frame + 2),
        "a.bmp": with_size(plain[".bmp"], "<i", 18, 22),
        "a.gif": with_size(plain[".gif"], "<H", 6, 8),
        "a.tif": with_size(plain[".tif"], "<H", start + 8, start + 20),
        "a.webp": b"RIFF\0\0\0\0WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + sides,
        "a.png": png_header(60_000, 60_000),
    }
    for name, data in bombs.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(DatasetError, match=r"allowed 178 million pixels"):
            read_image_header(tmp_path / name)


@pytest.mark.parametrize("suffix", [".tif", ".jpg"])
def test_tags_that_share_their_data_fill_no_memory(tmp_path: Path, suffix: str):
    """40,000 tags that each say their value is all of the file."""
    count, head = 40_000, b"II*\0" + struct.pack("<IH", 8, 40_000)
    size = len(head) + 12 * count
    entries = [(256, 4, 1, 60), (257, 4, 1, 40), (274, 3, 1, 6)]
    entries += [(tag, 1, size - 8, 8) for tag in range(1000, 1000 + count - len(entries))]
    data = head + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    if suffix == ".jpg":  # an EXIF block over several segments
        _, encoded = cv2.imencode(".jpg", np.zeros((40, 60, 3), np.uint8))
        pieces = [data[at : at + 65_000] for at in range(0, len(data), 65_000)]
        segments = (
            b"\xff\xe1" + struct.pack(">H", len(piece) + 8) + b"Exif\0\0" + piece
            for piece in pieces
        )
        data = b"\xff\xd8" + b"".join(segments) + encoded.tobytes()[20:]  # no resolution by JFIF
    path = tmp_path / f"a{suffix}"
    path.write_bytes(data)
    tracemalloc.start()
    try:
        header = read_image_header(path)
        assert tracemalloc.get_traced_memory()[1] < 10 * size
    finally:
        tracemalloc.stop()
    assert (header.raw_hw, header.orientation) == ((40, 60), 6)


@pytest.mark.parametrize(
    "name", ["x.j2k", "x.pnm"], ids=["JPEG 2000", "a text that OpenCV would decode"]
)
def test_formats_whose_header_is_not_known_are_not_decoded(tmp_path: Path, name: str):
    path = tmp_path / name
    path.write_bytes(b"P6 30000 30000 255\n")
    with pytest.raises(DatasetError, match="not an image"):
        read_image_header(path)


def test_xml_entities_are_refused(make: Callable[..., Path]):
    root = make("voc")
    path = root / "Annotations" / "a.xml"
    bomb = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>'
    path.write_text(bomb + path.read_text().replace("cat", "&b;"))
    with pytest.raises(DatasetError) as error:
        load_dataset(root)
    assert str(error.value).startswith(f"{path}: declares XML entities, which annotations have no")


def test_yaml_aliases_are_not_unfolded(make: Callable[..., Path]):
    root = make("yolo")
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    for last, name in zip("abcdefghijkl", "bcdefghijklm", strict=True):
        lines.append(f"{name}: &{name} [" + ", ".join([f"*{last}"] * 10) + "]")
    (root / "classes.txt").unlink()
    (root / "data.yaml").write_text("\n".join([*lines, "names: [*m]", "train: *m"]))
    with pytest.raises(DatasetError, match="expected a list of names, got lists within it"):
        load_dataset(root)


def test_boundary(tmp_path: Path):
    root = tmp_path / "data"
    (root / "in").mkdir(parents=True)
    (tmp_path / "data-other").mkdir()
    (root / "link").symlink_to(tmp_path / "data-other")
    boundary = Boundary(root)
    assert boundary.refusal(root) is None
    assert boundary.refusal(root / "in" / "missing.jpg") is None  # its reader will say so
    assert boundary.check(root / "in") == root / "in"
    # A name that only begins like the data set's is outside too.
    assert "leads out" in (boundary.refusal(root / "link") or "")
    assert "leads out" in (boundary.refusal(root / "link" / "a.jpg") or "")
    os.mkfifo(root / "a.tfrecord")  # a stored file is judged by the file that it lies in
    stored = stored_path(root / "a.tfrecord", 0, 5, "a.jpg")
    assert "not a regular file" in (boundary.refusal(stored) or "")
    (root / "broken").symlink_to(tmp_path / "nowhere")
    assert "leads out" in (boundary.refusal(root / "broken") or "")
