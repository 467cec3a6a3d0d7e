"""Tiny data sets, written by hand into a temporary directory."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest


@pytest.fixture
def picture() -> Callable[..., Path]:
    """Write a grey picture of `image_hw`; the format is that of the suffix."""

    def write(path: Path, image_hw: tuple[int, int] = (40, 60), exif: int | None = None) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), np.full((*image_hw, 3), 128, np.uint8))
        if exif is not None:
            path.write_bytes(with_exif(path.read_bytes(), exif))
        return path

    return write


def with_exif(jpeg: bytes, orientation: int, order: str = ">") -> bytes:
    """Put an EXIF block with an orientation behind the start marker of a JPEG."""
    block = exif_block(orientation, order)
    return (
        jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 8) + b"Exif\0\0" + block + jpeg[2:]
    )


def exif_block(orientation: int, order: str = ">") -> bytes:
    """A TIFF header and one directory with another tag and the orientation."""
    mark = b"MM" if order == ">" else b"II"
    head = mark + struct.pack(f"{order}HI", 42, 8)
    width = struct.pack(f"{order}HHIHH", 0x0100, 3, 1, 640, 0)
    tag = struct.pack(f"{order}HHIHH", 0x0112, 3, 1, orientation, 0)
    return head + struct.pack(f"{order}H", 2) + width + tag + struct.pack(f"{order}I", 0)


@pytest.fixture
def exif() -> Callable[..., bytes]:
    """The function `with_exif`."""
    return with_exif


@pytest.fixture
def tiff_exif() -> Callable[..., bytes]:
    """The function `exif_block`."""
    return exif_block


def voc_object(label: str, *xyxy: object) -> str:
    sides = zip(("xmin", "ymin", "xmax", "ymax"), xyxy, strict=True)
    box = "".join(f"<{side}>{value}</{side}>" for side, value in sides)
    return f"<object><name>{label}</name><bndbox>{box}</bndbox></object>"


@pytest.fixture
def voc_xml(picture: Callable[..., Path]) -> Callable[..., Path]:
    """Write a picture and its XML: objects are (label, xmin, ymin, xmax, ymax)."""

    def write(
        root: Path,
        name: str,
        *objects: tuple[object, ...],
        size: tuple[int, int] | None = (60, 40),
        filename: str | None = None,
        directory: str = "Annotations",
    ) -> Path:
        if not (root / "JPEGImages" / f"{name}.jpg").exists():
            picture(root / "JPEGImages" / f"{name}.jpg")
        stated = f"<size><width>{size[0]}</width><height>{size[1]}</height></size>" if size else ""
        items = "".join(voc_object(*item) for item in objects)
        filename = f"{name}.jpg" if filename is None else filename
        path = root / directory / f"{name}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"<annotation><filename>{filename}</filename>{stated}{items}</annotation>")
        return path

    return write


@pytest.fixture
def coco_json(picture: Callable[..., Path]) -> Callable[..., Path]:
    """Write a COCO file and its pictures: images are (name, [(category_id, bbox), ...])."""

    def write(
        root: Path,
        images: list[tuple[str, list[tuple[object, ...]]]],
        *,
        name: str = "annotations/instances_train.json",
        categories: tuple[tuple[int, str], ...] = ((1, "cat"), (2, "dog")),
    ) -> Path:
        tree: dict[str, list[object]] = {
            "categories": [{"id": number, "name": label} for number, label in categories],
            "images": [],
            "annotations": [],
        }
        for image_id, (file_name, objects) in enumerate(images, 1):
            if ".." not in file_name and not file_name.startswith("/"):
                picture(root / "images" / file_name)
            tree["images"].append(
                {"id": image_id, "file_name": file_name, "width": 60, "height": 40}
            )
            for category, bbox, *crowd in objects:
                tree["annotations"].append(
                    {
                        "id": len(tree["annotations"]) + 1,
                        "image_id": image_id,
                        "category_id": category,
                        "bbox": bbox,
                        "iscrowd": crowd[0] if crowd else 0,
                    }
                )
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(tree))
        return path

    return write
