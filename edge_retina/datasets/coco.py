"""Reader of COCO instance annotations: one JSON per split, images beside it or in `images/`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from edge_retina.datasets.annotation import UNSPLIT, AnnotatedSplits, parse_size
from edge_retina.datasets.annotation_table import AnnotationTable, AnnotationTableBuilder
from edge_retina.datasets.boundary import Boundary
from edge_retina.datasets.class_names import check_class_names
from edge_retina.datasets.coco_file import (
    PARTS,
    CocoFile,
    is_id,
    load_coco_file,
    read_bbox,
)
from edge_retina.datasets.coco_writer import write_coco
from edge_retina.datasets.image_files import (
    first_file,
    image_id_of,
    relative_path,
)
from edge_retina.datasets.layout import AnnotationFiles, Layout, root_of
from edge_retina.datasets.problems import Problems
from edge_retina.datasets.splits import SPLITS, split_name
from edge_retina.datasets.text_column import TextColumn
from edge_retina.errors import DatasetError

_ANNOTATION_PATTERNS = ("annotations/*.json", "*.json", "*/_annotations.coco.json")
_LARGEST_ID = 2**63  # ids are 64-bit numbers to every tool


def detect_coco(given: Path) -> AnnotationFiles | None:
    """Return a JSON file, or the instance annotation files of a directory, with their contents.

    Captions, keypoints without boxes and unrelated JSON files of a directory are left out.

    Raises:
        DatasetError: malformed JSON.
    """
    if given.is_file():
        return AnnotationFiles(root_of(given), {given: load_coco_file(given)})
    boundary = Boundary(given)
    for pattern in _ANNOTATION_PATTERNS:
        files = (load_coco_file(path, boundary=boundary) for path in sorted(given.glob(pattern)))
        instances = {content.path: content for content in files if content.is_of_instances}
        if instances:
            return AnnotationFiles(given, instances)
    return None


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
        files = {path: load_coco_file(path, boundary=boundary) for path in paths}
    table = AnnotationTableBuilder()
    splits: dict[str, np.ndarray] = {}  # rows of the table
    categories: dict[int, str] = {}
    first: Path | None = None
    for path, content in files.items():
        if not content.has_parts:
            raise DatasetError(f"{path}: not a COCO file; expected the lists {', '.join(PARTS)}")
        of_file = _read_categories(content.categories, path)
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
        start = len(table)
        _read_images(content, directories, base, categories, problems, table)
        splits[split] = np.arange(start, len(table), dtype=np.int32)
    columns = table.finish()
    annotated = {name: AnnotationTable(columns, rows) for name, rows in splits.items()}
    _drop_background(categories, annotated.values())
    labels = tuple(categories[number] for number in sorted(categories))
    check_class_names(labels, where=f"{first}, categories")
    return AnnotatedSplits(labels, annotated, class_ids=tuple(sorted(categories)))


def _read_categories(items: list[Any], path: Path) -> dict[int, str]:
    categories: dict[int, str] = {}
    for number, item in enumerate(items, 1):
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


def _drop_background(categories: dict[int, str], splits: Iterable[AnnotationTable]) -> None:
    used = {label for split in splits for label in split.used_labels()}
    if categories.get(0, "").lower() == "background" and categories[0] not in used:
        del categories[0]


def _split_of(path: Path, *, alone: bool) -> str:
    """Return the split's name: of the file, or of the directory of a `_annotations.coco.json`."""
    in_directory = path.name == "_annotations.coco.json"
    name = split_name(path.parent.name if in_directory else path.stem)
    return UNSPLIT if alone and name not in SPLITS else name


def _read_images(
    content: CocoFile,
    directories: list[Path],
    root: Path,
    categories: dict[int, str],
    problems: Problems,
    table: AnnotationTableBuilder,
) -> None:
    """Add the images of a file to the table."""
    path = content.path
    if content.image_flaw:
        raise DatasetError(content.image_flaw)
    names, (heights, widths) = content.file_names(), content.stated_sides()
    image = content.images_of_objects()
    label = _read_objects(content, image, names, categories, problems, table)
    content.forget()
    used = label >= 0
    counts = np.bincount(image[used], minlength=len(names))
    is_there = np.zeros(len(names), bool)
    for place, name in enumerate(names):
        source = f"{path}, image {name}"
        image_path = first_file(directories, relative_path(name, where=source))
        if image_path is None:
            looked = ", ".join(str(d.relative_to(root)) + "/" for d in directories)
            problems.add("missing-image", source, f"no such image; looked in {looked}")
            continue
        is_there[place] = True
        table.append_image(
            image_id_of(image_path, root),
            str(image_path),
            source,
            size_hw=parse_size(heights[place], widths[place], where=source, problems=problems),
            normalized=False,
            objects=int(counts[place]),
        )
    used[used] = is_there[image[used]]
    rows = None
    if not used.all() or (image[1:] < image[:-1]).any():
        rows = np.flatnonzero(used)
        rows = rows[np.argsort(image[rows], kind="stable")]
    table.move_objects(content.objects, label, rows)


def _image_directories(path: Path, split: str, root: Path) -> list[Path]:
    """Return where images may be, most particular first: `images/val2017/` before `images/`."""
    own = path.stem.split("_", 1)[-1]  # instances_val2017 -> val2017
    names = list(
        dict.fromkeys(name for name in (own, split, "valid" if split == "val" else "") if name)
    )
    candidates = [root / "images" / name for name in names] + [root / name for name in names]
    candidates += [root / "images", root / "JPEGImages", root / "data", path.parent, root]
    return [directory for directory in dict.fromkeys(candidates) if directory.is_dir()]


def _read_objects(
    content: CocoFile,
    image: np.ndarray,
    names: TextColumn,
    categories: dict[int, str],
    problems: Problems,
    table: AnnotationTableBuilder,
) -> np.ndarray:
    """Return the number of each annotation's label in the table, (M,); -1 where it is left out.

    Args:
        content: the file; odd annotations that can be read all the same are put into its objects.
        image: (M,) the place of each annotation's image; that of odd ones is set.
        names: the images' file names.
        categories: labels by id.
        problems: collects what was left out.
        table: numbers the labels.
    """
    category, ids = content.categories_of_objects()
    known = [table.label_number(categories[x]) if x in categories else -1 for x in ids]
    label = np.append(np.array(known, np.int32), np.int32(-1))[category]
    label[image < 0] = -1
    for number in np.flatnonzero(label < 0).tolist():
        if number not in content.odd:
            stated_ids: tuple[Any, Any] = content.image_id_at(number), ids[category[number]]
            name = content.objects.names.name(number)
            _find_image(stated_ids, name, content, names, categories, problems)
            continue
        item = content.odd[number]
        if not isinstance(item, dict):
            what = f"got {item!r}, expected an object with a bbox"
            where = f"{content.path}, annotation {number + 1}"
            problems.add("malformed-annotation", where, what)
            continue
        name, bbox = f"annotation {item.get('id', number + 1)}", item.get("bbox")
        stated_ids = item.get("image_id"), item.get("category_id")
        place = _find_image(stated_ids, name, content, names, categories, problems)
        if place is None:
            continue
        yxyx = read_bbox(bbox)
        if yxyx is None:
            what = f"bbox is {bbox!r}, expected the 4 numbers x, y, width, height"
            where = f"{content.path}, image {names[place]}, {name}"
            problems.add("malformed-annotation", where, what)
            continue
        label[number] = table.label_number(categories[item["category_id"]])
        image[number] = place
        content.put(number, item, name, yxyx)
    return label


def _find_image(
    stated_ids: tuple[Any, Any],
    name: str,
    content: CocoFile,
    names: TextColumn,
    categories: dict[int, str],
    problems: Problems,
) -> int | None:
    """Return the place of an annotation's image; None if that or its category is unknown."""
    image_id, category = stated_ids
    place = content.place_of(image_id)
    if place < 0:
        what = f"image_id {image_id!r} is not in the list of images"
        problems.add("unknown-image", f"{content.path}, {name}", what)
        return None
    if not is_id(category) or category not in categories:
        what = f"category_id {category!r} is not in the list of categories"
        problems.add("unknown-class", f"{content.path}, image {names[place]}, {name}", what)
        return None
    return place


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
