"""Reader of COCO instance annotations: one JSON per split, images beside it or in `images/`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from edge_retina.datasets.annotation import (
    UNSPLIT,
    AnnotatedSplits,
    ImageAnnotation,
    ObjectAnnotation,
    parse_number,
    parse_size,
)
from edge_retina.datasets.boundary import Boundary
from edge_retina.datasets.class_names import check_class_names
from edge_retina.datasets.coco_writer import write_coco
from edge_retina.datasets.image_files import (
    first_file,
    image_id_of,
    read_text,
    relative_path,
)
from edge_retina.datasets.layout import AnnotationFiles, Layout, root_of
from edge_retina.datasets.problems import Problems
from edge_retina.datasets.splits import SPLITS, split_name
from edge_retina.errors import DatasetError

_ANNOTATION_PATTERNS = ("annotations/*.json", "*.json", "*/_annotations.coco.json")
_PARTS = ("images", "annotations", "categories")
_LONGEST_NAME = 4096  # characters of a file name; no system has a longer path
_LARGEST_ID = 2**63  # ids are 64-bit numbers to every tool


def detect_coco(given: Path) -> AnnotationFiles | None:
    """Return a JSON file, or the instance annotation files of a directory, with their contents.

    Captions, keypoints without boxes and unrelated JSON files of a directory are left out.

    Raises:
        DatasetError: malformed JSON.
    """
    if given.is_file():
        return AnnotationFiles(root_of(given), {given: _load(given)})
    boundary = Boundary(given)
    for pattern in _ANNOTATION_PATTERNS:
        files = {path: _load(path, boundary=boundary) for path in sorted(given.glob(pattern))}
        instances = {path: tree for path, tree in files.items() if _has_boxes(tree)}
        if instances:
            return AnnotationFiles(given, instances)
    return None


def _load(path: Path, *, boundary: Boundary | None = None) -> Any:
    """Parse one annotation file.

    Args:
        path: the file.
        boundary: of the data set; None for a file that the user named.

    Raises:
        DatasetError: malformed JSON.
    """
    try:
        return json.loads(read_text(path, boundary=boundary), object_hook=_without_outlines)
    except (ValueError, RecursionError) as error:  # ValueError also for numbers of 5,000 digits
        raise DatasetError(f"{path}: malformed JSON ({error}); fix the file") from None


def _without_outlines(tree: dict[str, Any]) -> dict[str, Any]:
    """Drop what no box needs: the outlines of a million objects would take gigabytes."""
    if "bbox" in tree:
        tree.pop("segmentation", None)
        tree.pop("area", None)
    return tree


def read_coco(found: AnnotationFiles, problems: Problems) -> AnnotatedSplits:
    """Read COCO annotation files, each of which is a split, named after it or its directory.

    Labels are the categories in order of ascending id, whatever gaps the ids have. A category
    "background" with id 0 and no objects, as MediaPipe Model Maker wants it, is no class here.
    `ignore`, which pycocotools and many converters know, marks a difficult object.

    Args:
        found: the files, whose annotations are gone afterwards; in `dataset.toml`, `annotations` is
            a JSON file or a directory of them.
        problems: collects what was left out.

    Raises:
        DatasetError: a file without images, annotations or categories; files that disagree about
            the categories or are of the same split.
    """
    root, described = found.root, found.described
    files = found.files
    if described is not None:
        boundary = Boundary(root)
        paths = described.annotation_files(".json")
        files = {path: _load(path, boundary=boundary) for path in paths}
    splits: dict[str, list[ImageAnnotation]] = {}
    categories: dict[int, str] = {}
    first: Path | None = None
    for path, tree in files.items():
        if not _has_parts(tree):
            raise DatasetError(f"{path}: not a COCO file; expected the lists {', '.join(_PARTS)}")
        of_file = _read_categories(tree, path)
        if first is not None and of_file != categories:
            raise DatasetError(
                f"{path}: its categories differ from those of {first.name}; "
                "all files of a data set must have the same"
            )
        first, categories = path, of_file
        split = described.split_of(path) if described is not None else None
        split = split or _split_of(path, alone=len(files) == 1)
        if split in splits:
            raise DatasetError(f"{path}: a second file for split '{split}'; keep one of them")
        directories = (
            _image_directories(path, split, root) if described is None else [described.images]
        )
        base = root if described is None else described.images
        splits[split] = _read_images(tree, path, directories, base, categories, problems)
    _drop_background(categories, splits.values())
    labels = tuple(categories[number] for number in sorted(categories))
    check_class_names(labels, where=f"{first}, categories")
    return AnnotatedSplits(labels, splits, class_ids=tuple(sorted(categories)))


def _has_parts(tree: Any) -> bool:
    return isinstance(tree, dict) and all(isinstance(tree.get(part), list) for part in _PARTS)


def _has_boxes(tree: Any) -> bool:
    if not _has_parts(tree):
        return False
    annotations = tree["annotations"]
    return not annotations or any(isinstance(a, dict) and "bbox" in a for a in annotations)


def _read_categories(tree: Any, path: Path) -> dict[int, str]:
    categories: dict[int, str] = {}
    for number, item in enumerate(tree["categories"], 1):
        where = f"{path}, category {number}"
        if (
            not isinstance(item, dict)
            or not isinstance(item.get("id"), int)
            or not item.get("name")
        ):
            raise DatasetError(f"{where}: got {item!r}, expected an id (a whole number) and a name")
        if not -_LARGEST_ID <= item["id"] < _LARGEST_ID:
            raise DatasetError(
                f"{where}: its id has more than 64 bits; number the categories from 1, in "
                "category_id too"
            )
        if item["id"] in categories:
            raise DatasetError(f"{where}: id {item['id']} is duplicated")
        categories[item["id"]] = str(item["name"]).strip()
    return categories


def _drop_background(categories: dict[int, str], splits: Iterable[list[ImageAnnotation]]) -> None:
    used = {item.label for split in splits for image in split for item in image.objects}
    if categories.get(0, "").lower() == "background" and categories[0] not in used:
        del categories[0]


def _split_of(path: Path, *, alone: bool) -> str:
    """Return the split's name: of the file, or of the directory of a `_annotations.coco.json`."""
    in_directory = path.name == "_annotations.coco.json"
    name = split_name(path.parent.name if in_directory else path.stem)
    return UNSPLIT if alone and name not in SPLITS else name


def _read_images(
    tree: Any,
    path: Path,
    directories: list[Path],
    root: Path,
    categories: dict[int, str],
    problems: Problems,
) -> list[ImageAnnotation]:
    objects: dict[Any, list[ObjectAnnotation]] = {}
    files: dict[Any, str] = {}
    images = []
    for number, image in enumerate(tree["images"], 1):
        if not isinstance(image, dict) or not _is_id(image.get("id")) or not image.get("file_name"):
            raise DatasetError(
                f"{path}, image {number}: got {image!r}, expected an id and a file_name"
            )
        if image["id"] in files:
            raise DatasetError(f"{path}, image {number}: id {image['id']!r} is duplicated")
        files[image["id"]] = str(image["file_name"])
        if len(files[image["id"]]) > _LONGEST_NAME:  # every problem of a box would quote it
            raise DatasetError(
                f"{path}, image {number}: file_name has {len(files[image['id']])} characters, but "
                f"no path has more than {_LONGEST_NAME}; write the file's name"
            )
        objects[image["id"]] = []
    annotations = tree["annotations"]
    for number in range(len(annotations)):
        # Emptied on the way: a million parsed annotations take half a gigabyte.
        item, annotations[number] = annotations[number], None
        _read_object(item, number + 1, path, files, categories, objects, problems)
    for image in tree["images"]:
        name = files[image["id"]]
        source = f"{path}, image {name}"
        image_path = first_file(directories, relative_path(name, where=source))
        if image_path is None:
            looked = ", ".join(str(d.relative_to(root)) + "/" for d in directories)
            problems.add("missing-image", source, f"no such image; looked in {looked}")
            continue
        size = parse_size(image.get("height"), image.get("width"), where=source, problems=problems)
        image_id = image_id_of(image_path, root)
        images.append(
            ImageAnnotation(image_id, image_path, source, tuple(objects.pop(image["id"])), size)
        )
    return images


def _image_directories(path: Path, split: str, root: Path) -> list[Path]:
    """Return where images may be, most particular first: `images/val2017/` before `images/`."""
    own = path.stem.split("_", 1)[-1]  # instances_val2017 -> val2017
    names = list(
        dict.fromkeys(name for name in (own, split, "valid" if split == "val" else "") if name)
    )
    candidates = [root / "images" / name for name in names] + [root / name for name in names]
    candidates += [root / "images", root / "JPEGImages", root / "data", path.parent, root]
    return [directory for directory in dict.fromkeys(candidates) if directory.is_dir()]


def _read_object(
    item: Any,
    number: int,
    path: Path,
    files: dict[Any, str],
    categories: dict[int, str],
    objects: dict[Any, list[ObjectAnnotation]],
    problems: Problems,
) -> None:
    """Add an annotation to its image's objects."""
    if not isinstance(item, dict):
        what = f"got {item!r}, expected an object with a bbox"
        problems.add("malformed-annotation", f"{path}, annotation {number}", what)
        return
    name = f"annotation {item.get('id', number)}"
    image_id, category, bbox = item.get("image_id"), item.get("category_id"), item.get("bbox")
    if not _is_id(image_id) or image_id not in files:
        what = f"image_id {image_id!r} is not in the list of images"
        problems.add("unknown-image", f"{path}, {name}", what)
        return
    if not _is_id(category) or category not in categories:
        what = f"category_id {category!r} is not in the list of categories"
        problems.add("unknown-class", f"{path}, image {files[image_id]}, {name}", what)
        return
    sides = [parse_number(side) for side in bbox] if isinstance(bbox, list) else []
    if len(sides) != 4 or None in sides:
        what = f"bbox is {bbox!r}, expected the 4 numbers x, y, width, height"
        problems.add("malformed-annotation", f"{path}, image {files[image_id]}, {name}", what)
        return
    x, y, width, height = cast("list[float]", sides)
    yxyx = (y, x, y + height, x + width)
    objects[image_id].append(
        ObjectAnnotation(
            name,
            categories[category],
            yxyx,
            crowd=bool(item.get("iscrowd")),
            difficult=bool(item.get("ignore")) and not item.get("iscrowd"),
        )
    )


def _is_id(value: object) -> bool:
    return isinstance(value, (int, str))


COCO = Layout(
    name="coco",
    title="COCO",
    files="annotations/*.json, labels.json",
    suffixes=(".json",),
    detect=detect_coco,
    read=read_coco,
    write=write_coco,
    file_per_image=False,
    labels="never",
)
