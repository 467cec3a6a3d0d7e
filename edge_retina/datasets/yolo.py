"""Reader of YOLO: one text file a picture, class and normalised centre box a line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from edge_retina.datasets.annotation import (
    UNSPLIT,
    AnnotatedSplits,
    ImageAnnotation,
    ObjectAnnotation,
    Problems,
    parse_number,
)
from edge_retina.datasets.boundary import Boundary
from edge_retina.datasets.dataset_file import DatasetFile
from edge_retina.datasets.image_files import (
    IMAGE_SUFFIXES,
    check_labels,
    image_id_of,
    list_images,
    read_label_file,
    read_text,
    relative_path,
    subdirectories,
)
from edge_retina.datasets.splits import SPLITS, split_name
from edge_retina.datasets.threads import map_in_threads
from edge_retina.errors import DatasetError

_YAML_NAMES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
_YAML_SPLITS = ("train", "val", "valid", "test")


def is_yolo(root: Path) -> bool:
    """Whether a directory looks like YOLO."""
    return find_yaml(root) is not None or any(_label_directories(root))


def find_yaml(root: Path) -> Path | None:
    """Return the data set's `data.yaml`, by whichever of its usual names."""
    return next((root / name for name in _YAML_NAMES if (root / name).is_file()), None)


def read_yolo(
    root: Path,
    problems: Problems,
    *,
    yaml_file: Path | None = None,
    described: DatasetFile | None = None,
) -> AnnotatedSplits:
    """Read a YOLO data set.

    Class names are those of `data.yaml` or of `classes.txt`; if both are there they must agree.
    Split paths of `data.yaml` are often left over from another machine; if one doesn't exist inside
    the data set, the directories are looked at instead. A picture without a label file has no
    objects. Polygons are replaced by the box around them.

    Args:
        root: the data set.
        problems: collects what was left out.
        yaml_file: its YAML file; by default it is looked for.
        described: the data set's `dataset.toml`, if it has one.

    Raises:
        DatasetError: no class names, or two lists that disagree; malformed YAML.
    """
    boundary = Boundary(root)
    if described is not None:
        return _read_described(described, boundary, problems)
    path = yaml_file or find_yaml(root)
    tree = _load_yaml(path, None if yaml_file else boundary) if path else {}
    labels = _read_labels(root, path, tree, boundary)
    pictures = _yaml_splits(root, path, tree, boundary) or _directory_splits(root, boundary)
    splits = {
        split: _read_images(
            [(item, label_file(item, root)) for item in items], root, labels, boundary, problems
        )
        for split, items in pictures.items()
    }
    _report_orphans(root, splits, problems)
    return AnnotatedSplits(labels, splits)


def _read_described(
    described: DatasetFile, boundary: Boundary, problems: Problems
) -> AnnotatedSplits:
    base, annotations = described.images, described.annotations or described.root
    places = described.splits or {UNSPLIT: base}
    splits = {}
    for split, place in places.items():
        if place.is_dir() and not place.is_relative_to(base):
            raise DatasetError(
                f"{described.path}, splits.{split}: {place} is not below the pictures' {base}"
            )
        pictures = (
            list_images(place, boundary=boundary)
            if place.is_dir()
            else _listed_images(place, base, boundary)
        )
        files = [(picture, _beside(picture, base, annotations)) for picture in pictures]
        splits[split] = _read_images(files, base, described.labels, boundary, problems)
    return AnnotatedSplits(described.labels, splits)


def _load_yaml(path: Path, boundary: Boundary | None) -> dict[str, Any]:
    import yaml  # only this one file of one layout is YAML; devices do without

    try:
        tree = yaml.safe_load(read_text(path, boundary=boundary))
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: day 2024-99-99
        raise DatasetError(f"{path}: malformed YAML ({' '.join(str(error).split())})") from None
    if not isinstance(tree, dict):
        raise DatasetError(f"{path}: not a YOLO data file; expected keys names, train, val")
    return tree


def _read_labels(
    root: Path, path: Path | None, tree: dict[str, Any], boundary: Boundary
) -> tuple[str, ...]:
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
    check_labels(labels, where=f"{path}, names")
    if of_file and of_file != labels:
        raise DatasetError(
            f"{path}: its names {list(labels)} differ from classes.txt {list(of_file)}; "
            "delete the wrong one"
        )
    return labels


def _yaml_splits(
    root: Path, path: Path | None, tree: dict[str, Any], boundary: Boundary
) -> dict[str, list[Path]]:
    """Return pictures by split as the YAML file says; empty if any of its paths doesn't exist."""
    splits: dict[str, list[Path]] = {}
    for key in _YAML_SPLITS:
        entries = tree.get(key)
        if not entries:
            continue
        pictures: list[Path] = []
        for entry in entries if isinstance(entries, list) else [entries]:
            place = _locate(_text(entry), root, _text(tree.get("path")))
            if place is None:
                return {}
            pictures += (
                _listed_images(place, root, boundary, relative_to=place.parent)
                if place.is_file()
                else list_images(place, boundary=boundary)
            )
        splits[split_name(key)] = pictures
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


def _listed_images(
    path: Path, root: Path, boundary: Boundary, *, relative_to: Path | None = None
) -> list[Path]:
    """Return the pictures that a split's text file lists.

    Args:
        path: the file.
        root: what names must not lead out of.
        boundary: of the data set.
        relative_to: the directory below `root` that the names begin at; by default `root`.
    """
    base = (relative_to or root).relative_to(root)
    pictures = []
    for number, line in enumerate(read_text(path, boundary=boundary).splitlines(), 1):
        name = line.strip()
        if name:
            # Joined as texts: "a/../../b" may climb out of `base`, and an absolute name stays one.
            joined = name if name.startswith("/") else f"{base.as_posix()}/{name}"
            pictures.append(root / relative_path(joined, where=f"{path}, line {number}"))
    return pictures


def _directory_splits(root: Path, boundary: Boundary) -> dict[str, list[Path]]:
    """Return pictures by split from `images/train/`, `train/images/` or `train/`; else unsplit."""
    splits: dict[str, list[Path]] = {}
    for directory in subdirectories(root / "images") + subdirectories(root):
        name = split_name(directory.name)
        if name in SPLITS and name not in splits:
            splits[name] = list_images(directory, boundary=boundary)
    if splits:
        return splits
    base = root / "images"
    return {UNSPLIT: list_images(base if base.is_dir() else root, boundary=boundary)}


def _label_directories(root: Path) -> list[Path]:
    found = [root / "labels", *sorted(root.glob("*/labels"))]
    return [directory for directory in found if directory.is_dir()]


def label_file(picture: Path, root: Path) -> Path:
    """Return where a picture's labels are: the last `images` of its path becomes `labels`."""
    parts = list(picture.relative_to(root).with_suffix(".txt").parts)
    for number in range(len(parts) - 2, -1, -1):
        if parts[number] == "images":
            parts[number] = "labels"
            break
    return root.joinpath(*parts)


def _report_orphans(
    root: Path, splits: dict[str, list[ImageAnnotation]], problems: Problems
) -> None:
    """Note label files whose picture is missing."""
    known = {label_file(item.path, root) for split in splits.values() for item in split}
    for directory in _label_directories(root):
        for path in sorted(directory.rglob("*.txt")):
            if path not in known and path.name not in ("classes.txt", "labels.txt"):
                pictures = directory.parent / "images" / path.relative_to(directory)
                if not any(pictures.with_suffix(suffix).exists() for suffix in IMAGE_SUFFIXES):
                    problems.add(str(path), "no picture for this label file")


def _beside(picture: Path, base: Path, annotations: Path) -> Path:
    return annotations / picture.relative_to(base).with_suffix(".txt")


def _read_images(
    files: list[tuple[Path, Path]],
    base: Path,
    labels: tuple[str, ...],
    boundary: Boundary,
    problems: Problems,
) -> list[ImageAnnotation]:
    """Read (picture, label file) pairs; a picture's id is its path below `base`."""

    def read(file: tuple[Path, Path]) -> tuple[ImageAnnotation, Problems]:
        picture, path = file
        own = Problems(problems.skip_invalid)
        labelled = os.path.isfile(path)
        annotation = ImageAnnotation(
            image_id=image_id_of(picture, base),
            path=picture,
            source=str(path if labelled else picture),
            objects=_read_lines(boundary.check(path), labels, own) if labelled else (),
            normalized=True,
        )
        return annotation, own

    found = map_in_threads(read, files)
    problems.gather(own for _, own in found)
    return [annotation for annotation, _ in found]


def _read_lines(
    path: Path, labels: tuple[str, ...], problems: Problems
) -> tuple[ObjectAnnotation, ...]:
    found = (
        _read_object(line.split(), number, path, labels, problems)
        for number, line in enumerate(read_text(path).splitlines(), 1)
        if line.strip()
    )
    return tuple(item for item in found if item is not None)


def _read_object(
    fields: list[str], number: int, path: Path, labels: tuple[str, ...], problems: Problems
) -> ObjectAnnotation | None:
    name = f"line {number}"
    values = [parse_number(field) for field in fields]
    numbers = [value for value in values if value is not None]
    is_box, is_polygon = len(fields) == 5, len(fields) >= 7 and len(fields) % 2 == 1
    if len(numbers) != len(fields) or not (is_box or is_polygon):
        got = " ".join(fields[:8])
        problems.add(
            f"{path}, {name}", f"got '{got}', expected the numbers class x y width height (0..1)"
        )
        return None
    if numbers[0] not in range(len(labels)):
        problems.add(
            f"{path}, {name}",
            f"class {fields[0]} is not in the list; "
            f"allowed: 0..{len(labels) - 1} ({', '.join(labels)})",
        )
        return None
    if is_box:
        x, y, width, height = numbers[1:]
        yxyx = (y - height / 2, x - width / 2, y + height / 2, x + width / 2)
    else:
        xs, ys = numbers[1::2], numbers[2::2]
        yxyx = (min(ys), min(xs), max(ys), max(xs))
    return ObjectAnnotation(name, labels[int(numbers[0])], yxyx)
