"""Where a YOLO data set keeps its images, class names and label files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from edge_retina.datasets.annotation import UNSPLIT
from edge_retina.datasets.boundary import Boundary
from edge_retina.datasets.class_names import check_class_names, read_label_file
from edge_retina.datasets.image_files import (
    list_images,
    read_text,
    relative_path,
    subdirectories,
)
from edge_retina.datasets.splits import SPLITS, split_name
from edge_retina.errors import DatasetError
from edge_retina.yaml_text import parse_yaml

_YAML_NAMES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
_YAML_SPLITS = ("train", "val", "valid", "test")


def find_yaml(root: Path) -> Path | None:
    """Return the data set's `data.yaml`, by whichever of its usual names."""
    return next((root / name for name in _YAML_NAMES if (root / name).is_file()), None)


def load_yaml(path: Path, boundary: Boundary | None) -> dict[str, Any]:
    """Read `data.yaml`; with a boundary, it must not be a link that leads out of it.

    Raises:
        DatasetError: malformed.
    """
    try:
        tree = parse_yaml(read_text(path, boundary=boundary))
    except ValueError as error:
        raise DatasetError(f"{path}: malformed YAML ({error}); fix the file") from None
    if not isinstance(tree, dict):
        raise DatasetError(f"{path}: not a YOLO data file; expected keys names, train, val")
    return tree


def read_labels(
    root: Path, path: Path | None, tree: dict[str, Any], boundary: Boundary
) -> tuple[str, ...]:
    """Return the class names of `data.yaml` or of `classes.txt`, which must agree.

    Raises:
        DatasetError: there are none, they can't be names, or the two disagree.
    """
    of_file = read_label_file(root) or read_label_file(root / "labels", boundary=boundary)
    names = tree.get("names")
    if isinstance(names, dict):  # {0: cat, 1: dog}
        if set(names) != set(range(len(names))):
            keys = sorted(names, key=lambda key: (str(type(key)), str(key)))
            raise DatasetError(f"{path}, names: keys are {keys}, expected 0, 1, 2 ...")
        names = [names[number] for number in range(len(names))]
    if not isinstance(names, list):
        if of_file:
            return of_file
        raise DatasetError(
            f"{path or root}: no class names; expected 'names' in data.yaml or classes.txt"
        )
    if any(isinstance(name, (list, dict, set, tuple)) for name in names):  # aliases can nest a bomb
        raise DatasetError(f"{path}, names: expected a list of names, got lists within it")
    labels = tuple(str(name).strip() for name in names)
    check_class_names(labels, where=f"{path}, names")
    if of_file and of_file != labels:
        raise DatasetError(
            f"{path}: its names {list(labels)} differ from classes.txt {list(of_file)}; "
            "delete the wrong one"
        )
    return labels


def images_by_split(root: Path, tree: dict[str, Any], boundary: Boundary) -> dict[str, list[Path]]:
    """Return images by split as the YAML file says, else as the directories' names do."""
    return _yaml_splits(root, tree, boundary) or _directory_splits(root, boundary)


def listed_images(
    path: Path, root: Path, boundary: Boundary, *, relative_to: Path | None = None
) -> list[Path]:
    """Return the images that a split's text file lists.

    Args:
        path: the file.
        root: what names must not lead out of.
        boundary: of the data set.
        relative_to: the directory below `root` that the names begin at; by default `root`.
    """
    base = (relative_to or root).relative_to(root)
    images = []
    for number, line in enumerate(read_text(path, boundary=boundary).splitlines(), 1):
        name = line.strip()
        if name:
            # Joined as texts: "a/../../b" may climb out of `base`, and an absolute name stays one.
            joined = name if name.startswith("/") else f"{base.as_posix()}/{name}"
            images.append(root / relative_path(joined, where=f"{path}, line {number}"))
    return images


def label_file(image: Path, root: Path) -> Path:
    """Return where an image's labels are: the last `images` of its path becomes `labels`."""
    parts = list(image.relative_to(root).with_suffix(".txt").parts)
    for number in range(len(parts) - 2, -1, -1):
        if parts[number] == "images":
            parts[number] = "labels"
            break
    return root.joinpath(*parts)


def label_directories(root: Path) -> list[Path]:
    """Return the directories that hold label files: `labels/` and `*/labels/`."""
    found = [root / "labels", *sorted(root.glob("*/labels"))]
    return [directory for directory in found if directory.is_dir()]


def _yaml_splits(root: Path, tree: dict[str, Any], boundary: Boundary) -> dict[str, list[Path]]:
    """Return images by split as the YAML file says; empty if any of its paths doesn't exist."""
    splits: dict[str, list[Path]] = {}
    for key in _YAML_SPLITS:
        entries = tree.get(key)
        if not entries:
            continue
        images: list[Path] = []
        places = [
            _locate(_text(entry), root, _text(tree.get("path")))
            for entry in (entries if isinstance(entries, list) else [entries])
        ]
        for place in dict.fromkeys(places):  # each once: a line of text may repeat one 1,000 times
            if place is None:
                return {}
            images += (
                listed_images(place, root, boundary, relative_to=place.parent)
                if place.is_file()
                else list_images(place, boundary=boundary)
            )
        splits[split_name(key)] = images
    return splits


def _text(value: Any) -> str:
    """Return a YAML value that should be a path; anything else names nothing."""
    return value if isinstance(value, str) else ""


def _locate(entry: str, root: Path, base: str) -> Path | None:
    """Find a path of the YAML file inside the data set; one that leads out of it is not followed.

    Roboflow writes `../train/images` and means `train/images`.
    """
    for candidate in (root / _downward(base) / _downward(entry), root / _downward(entry)):
        if candidate != root and os.path.exists(candidate):
            return candidate
    return None


def _downward(path: str) -> Path:
    """Return a path without anything that leads upwards or to the top."""
    return Path(
        *(part for part in path.replace("\\", "/").split("/") if part not in ("", ".", ".."))
    )


def _directory_splits(root: Path, boundary: Boundary) -> dict[str, list[Path]]:
    """Return images by split from `images/train/`, `train/images/` or `train/`; else unsplit."""
    splits: dict[str, list[Path]] = {}
    for directory in subdirectories(root / "images") + subdirectories(root):
        name = split_name(directory.name)
        if name in SPLITS and name not in splits:
            splits[name] = list_images(directory, boundary=boundary)
    if splits:
        return splits
    base = root / "images"
    return {UNSPLIT: list_images(base if base.is_dir() else root, boundary=boundary)}
