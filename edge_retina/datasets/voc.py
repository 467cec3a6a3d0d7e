"""Reader of Pascal VOC: one XML a picture, split lists in `ImageSets/Main`.

Coordinates are taken as they stand. The VOC devkit counts pixels from 1 and includes the last one,
but nearly every file of today was written by labelImg or a converter, which write continuous
coordinates (labelImg only raises a 0 to 1). Subtracting 1 would shift those by a pixel to mend very
few others.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

from edge_retina.datasets.annotation import (
    UNSPLIT,
    AnnotatedSplits,
    ImageAnnotation,
    ObjectAnnotation,
    Problems,
    parse_number,
    parse_size,
)
from edge_retina.datasets.image_files import (
    image_id_of,
    list_images,
    read_label_file,
    read_text,
    relative_path,
    subdirectories,
)
from edge_retina.datasets.splits import SPLITS, split_name
from edge_retina.errors import DatasetError

_SIDES = ("ymin", "xmin", "ymax", "xmax")
_LISTS = Path("ImageSets", "Main")
_Annotations = dict[Path, "ImageAnnotation | None"]  # by XML file; None: left out, noted already


def is_voc(root: Path) -> bool:
    """Whether a directory looks like Pascal VOC."""
    return bool(_xml_files(root))


def read_voc(root: Path, problems: Problems) -> AnnotatedSplits:
    """Read a Pascal VOC data set.

    XML files lie in `Annotations/` or `annotations/`, beside the pictures, or in a directory for
    each split. Class names are those of `labels.txt` or `classes.txt`, else all that occur, sorted.
    `difficult` objects are objects like others.

    Args:
        root: the data set.
        problems: collects what was left out.

    Raises:
        DatasetError: a file that can't be read at all.
    """
    pictures = {
        path.relative_to(root).with_suffix("").as_posix(): path for path in list_images(root)
    }
    files = _xml_files(root)
    annotations = {
        path: _read_image(
            path, path.relative_to(base).with_suffix("").as_posix(), root, pictures, problems
        )
        for base, path in files
    }
    used = {item.label for image in annotations.values() if image for item in image.objects}
    labels = read_label_file(root) or tuple(sorted(used))
    lists = [path for path in sorted((root / _LISTS).glob("*.txt")) if not _is_class_list(path)]
    if lists:
        return AnnotatedSplits(labels, _listed_splits(lists, files[0][0], annotations, problems))
    return AnnotatedSplits(labels, _directory_splits(root, files, annotations))


def _xml_files(root: Path) -> list[tuple[Path, Path]]:
    """Return (directory of annotations, XML file) pairs, sorted."""
    for name in ("Annotations", "annotations"):
        found = [(root / name, path) for path in sorted((root / name).rglob("*.xml"))]
        if found:
            return found
    beside = [(root, path) for path in sorted(root.glob("*.xml"))]
    return beside or [
        (path.parent, path)
        for directory in subdirectories(root)
        if split_name(directory.name) in SPLITS
        for path in sorted(directory.glob("*.xml"))
    ]


def _read_image(
    path: Path, name: str, root: Path, pictures: dict[str, Path], problems: Problems
) -> ImageAnnotation | None:
    try:
        tree = ElementTree.fromstring(read_text(path))
    except ElementTree.ParseError as error:
        problems.add(str(path), f"malformed XML ({error})")
        return None
    stated = tree.findtext("filename", "").strip()
    picture = _find_picture(path, name, stated, root, pictures)
    if picture is None:
        problems.add(
            str(path), f"no picture '{stated or name}' in JPEGImages/, images/ or beside the XML"
        )
        return None
    objects = []
    for number, element in enumerate(tree.iter("object"), 1):
        item = _read_object(element, number, path, problems)
        if item is not None:
            objects.append(item)
    return ImageAnnotation(
        image_id=image_id_of(picture, root),
        path=picture,
        source=str(path),
        objects=tuple(objects),
        size_hw=parse_size(tree.findtext("size/height"), tree.findtext("size/width")),
    )


def _find_picture(
    path: Path, name: str, stated: str, root: Path, pictures: dict[str, Path]
) -> Path | None:
    """Find a picture by the XML's own name, as the devkit does, else by its `filename`.

    The own name goes first because `filename` is often left over from before a renaming.
    """
    stems = [name]
    if stated:
        relative = relative_path(stated, where=f"{path}, filename")
        stems += [relative.with_suffix("").as_posix(), relative.as_posix()]
    beside = path.parent.relative_to(root)
    for stem in stems:
        for directory in (Path("JPEGImages"), Path("images"), beside, Path()):
            picture = pictures.get((directory / stem).as_posix())
            if picture is not None:
                return picture
    return None


def _read_object(
    element: ElementTree.Element, number: int, path: Path, problems: Problems
) -> ObjectAnnotation | None:
    name = f"object {number}"
    label = element.findtext("name", "").strip()
    if not label:
        problems.add(f"{path}, {name}", "has no class name")
        return None
    sides = []
    for side in _SIDES:
        text = element.findtext(f"bndbox/{side}")
        value = parse_number(text)
        if value is None:
            problems.add(f"{path}, {name}", f"{side} is {text!r}, expected a number")
            return None
        sides.append(value)
    return ObjectAnnotation(name, label, (sides[0], sides[1], sides[2], sides[3]))


def _directory_splits(
    root: Path, files: list[tuple[Path, Path]], annotations: _Annotations
) -> dict[str, list[ImageAnnotation]]:
    """Return pictures by the directory of their XML, if that is `train/` or the like."""
    splits: dict[str, list[ImageAnnotation]] = {}
    for base, path in files:
        own = split_name(base.name)
        annotation = annotations[path]
        if annotation is not None:
            split = own if own in SPLITS and base != root else UNSPLIT
            splits.setdefault(split, []).append(annotation)
    return splits


def _listed_splits(
    lists: list[Path], base: Path, annotations: _Annotations, problems: Problems
) -> dict[str, list[ImageAnnotation]]:
    splits: dict[str, list[ImageAnnotation]] = {}
    for path in lists:
        split = split_name(path.stem)
        if split in splits:
            raise DatasetError(f"{path}: a second list for split '{split}'; keep one of them")
        splits[split] = _read_list(path, base, annotations, problems)
    return splits


def _read_list(
    path: Path, base: Path, annotations: _Annotations, problems: Problems
) -> list[ImageAnnotation]:
    chosen = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        name = line.strip()
        xml = base / f"{name}.xml"
        if name and xml not in annotations:
            problems.add(f"{path}, line {number}", f"no annotation '{name}.xml'")
        elif name:
            annotation = annotations[xml]
            if annotation is not None:
                chosen.append(annotation)
    return chosen


def _is_class_list(path: Path) -> bool:
    """Whether a list is of the form `dog_train.txt`: a picture and 1, 0 or -1 a line."""
    first = next((line.split() for line in read_text(path).splitlines() if line.strip()), [])
    return len(first) > 1 and first[-1] in ("1", "0", "-1")
