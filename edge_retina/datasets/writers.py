"""Data sets to disk in any of the known layouts.

Boxes, classes and splits are kept, so that reading the result gives the same data set to 0.01 px.
What a layout can't express is told to the caller. Pictures are copied byte for byte.
"""

from __future__ import annotations

import csv
import io
import shutil
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from edge_retina.datasets.output_directory import new_directory
from edge_retina.datasets.schema import Dataset, Example
from edge_retina.datasets.splits import SPLITS
from edge_retina.datasets.yolo_layout import label_file
from edge_retina.errors import DatasetError, choices_hint
from edge_retina.files import write_json, write_text

_CSV_HEADER = ("filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax")


def write_dataset(
    dataset: Dataset, out: Path | str, *, layout: str, force: bool = False
) -> tuple[str, ...]:
    """Write a data set.

    Args:
        dataset: what to write.
        out: a new directory.
        layout: "coco", "voc", "yolo" or "csv".
        force: replace `out` if it exists.

    Returns:
        One line for each thing that the layout can't express.

    Raises:
        DatasetError: unknown layout, `out` not empty, or `out` holds the data set itself.
    """
    if layout not in WRITERS:
        raise DatasetError(f"layout '{layout}' is unknown; {choices_hint(layout, WRITERS)}")
    out = Path(out)
    if dataset.root.resolve().is_relative_to(out.resolve()):
        raise DatasetError(
            f"{out}: holds the data set that is to be converted; choose another directory"
        )
    with new_directory(out, force=force) as directory:
        return WRITERS[layout](dataset, directory)


def write_coco(dataset: Dataset, directory: Path) -> tuple[str, ...]:
    """Write `annotations/instances_SPLIT.json` and `images/`; nothing is lost."""
    for split, examples in dataset.splits.items():
        for example in examples:
            _copy(example, directory / "images" / example.image_id)
        write_json(
            directory / "annotations" / f"instances_{split}.json", _coco_tree(dataset, examples)
        )
    return ()


def write_voc(dataset: Dataset, directory: Path) -> tuple[str, ...]:
    """Write `Annotations/`, `JPEGImages/`, `ImageSets/Main/` and `labels.txt` (the class order)."""
    names = _flat_names(dataset)
    for example in _unique(dataset):
        name = names[example.image_id]
        _copy(example, directory / "JPEGImages" / name)
        tree = _voc_tree(example, name, dataset.labels)
        write_text(directory / "Annotations" / PurePosixPath(name).with_suffix(".xml"), tree)
    for split, examples in dataset.splits.items():
        lines = [PurePosixPath(names[example.image_id]).stem + "\n" for example in examples]
        write_text(directory / "ImageSets" / "Main" / f"{split}.txt", "".join(lines))
    _write_labels(dataset, directory)
    crowds = sum(int(example.crowd.sum()) for example in _unique(dataset))
    if not crowds:
        return ()
    return (f"crowd flags of {crowds} boxes: Pascal VOC has none, they are marked difficult",)


def write_yolo(dataset: Dataset, directory: Path) -> tuple[str, ...]:
    """Write `images/`, `labels/`, a list of pictures for each split and `data.yaml`.

    Lists instead of a directory for each split, because splits may overlap (train and trainval).
    """
    import yaml  # only this one file of one layout is YAML; devices do without

    for example in _unique(dataset):
        picture = directory / "images" / example.image_id
        _copy(example, picture)
        write_text(label_file(picture, directory), _yolo_lines(example))
    tree: dict[str, object] = {"path": "."}
    for split in [name for name in SPLITS if name in dataset.splits]:
        lines = [f"./images/{example.image_id}\n" for example in dataset.splits[split]]
        write_text(directory / f"{split}.txt", "".join(lines))
        tree[split] = f"{split}.txt"
    tree["names"] = dict(enumerate(dataset.labels))
    write_text(directory / "data.yaml", yaml.safe_dump(tree, sort_keys=False, allow_unicode=True))
    other = [name for name in dataset.splits if name not in SPLITS]
    lost = tuple(f"split '{name}': YOLO knows only {', '.join(SPLITS)}" for name in other)
    return lost + _lost_flags(dataset, "YOLO")


def write_csv(dataset: Dataset, directory: Path) -> tuple[str, ...]:
    """Write `SPLIT.csv` with a header, `images/` and `labels.txt` (the class order)."""
    for split, examples in dataset.splits.items():
        text = io.StringIO()
        lines = csv.writer(text, lineterminator="\n")
        lines.writerow(_CSV_HEADER)
        for example in examples:
            _copy(example, directory / "images" / example.image_id)
            lines.writerows(_csv_rows(example, dataset.labels))
        write_text(directory / f"{split}.csv", text.getvalue())
    _write_labels(dataset, directory)
    return _lost_flags(dataset, "CSV")


WRITERS: dict[str, Callable[[Dataset, Path], tuple[str, ...]]] = {
    "coco": write_coco,
    "voc": write_voc,
    "yolo": write_yolo,
    "csv": write_csv,
}


def _unique(dataset: Dataset) -> list[Example]:
    """Return every picture once, though splits may overlap."""
    examples = {item.image_id: item for split in dataset.splits.values() for item in split}
    return list(examples.values())


def _copy(example: Example, target: Path) -> None:
    if target.exists():  # of a split that overlaps this one
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(example.path, target)
    except OSError as error:
        reason = error.strerror or error
        raise DatasetError(f"{example.path}: can't be copied to {target} ({reason})") from None


def _write_labels(dataset: Dataset, directory: Path) -> None:
    write_text(directory / "labels.txt", "".join(f"{label}\n" for label in dataset.labels))


def _lost_flags(dataset: Dataset, layout: str) -> tuple[str, ...]:
    examples = _unique(dataset)
    counts = {
        "crowd": sum(int(example.crowd.sum()) for example in examples),
        "difficult": sum(int(example.difficult.sum()) for example in examples),
    }
    return tuple(
        f"{flag} flags of {count} boxes: {layout} has none, they become ordinary objects"
        for flag, count in counts.items()
        if count
    )


def _flat_names(dataset: Dataset) -> dict[str, str]:
    """Return a file name for each image id, without directories, no two with the same stem.

    VOC tools look for `Annotations/*.xml` and know a picture by its stem.
    """
    ids = [example.image_id for example in _unique(dataset)]
    choices = (
        [PurePosixPath(image_id).name for image_id in ids],
        [image_id.replace("/", "_") for image_id in ids],
        [f"{number:06d}_{PurePosixPath(image_id).name}" for number, image_id in enumerate(ids, 1)],
    )
    distinct = (
        names for names in choices if len({PurePosixPath(n).stem for n in names}) == len(ids)
    )
    return dict(zip(ids, next(distinct), strict=True))


def _number(value: float) -> int | float:
    """Return a coordinate without superfluous digits; whole ones as int, as most tools expect."""
    rounded = round(float(value), 4)
    return int(rounded) if rounded.is_integer() else rounded


def _coco_tree(dataset: Dataset, examples: tuple[Example, ...]) -> dict[str, object]:
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for image_id, example in enumerate(examples, 1):
        height, width = example.image_hw
        images.append(
            {"id": image_id, "file_name": example.image_id, "height": height, "width": width}
        )
        for box, label, crowd, difficult in zip(
            example.boxes_px, example.classes, example.crowd, example.difficult, strict=True
        ):
            ymin, xmin, ymax, xmax = (float(side) for side in box)
            sides = _number(xmax - xmin), _number(ymax - ymin)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": int(label) + 1,
                    "bbox": [_number(xmin), _number(ymin), *sides],
                    "area": _number(sides[0] * sides[1]),
                    "iscrowd": int(crowd),
                    **({"ignore": 1} if difficult else {}),
                }
            )
    categories = [{"id": number, "name": name} for number, name in enumerate(dataset.labels, 1)]
    return {"images": images, "annotations": annotations, "categories": categories}


def _voc_tree(example: Example, name: str, labels: tuple[str, ...]) -> str:
    root = ElementTree.Element("annotation")
    ElementTree.SubElement(root, "folder").text = "JPEGImages"
    ElementTree.SubElement(root, "filename").text = name
    size = ElementTree.SubElement(root, "size")
    for side, value in zip(("width", "height", "depth"), (*example.image_hw[::-1], 3), strict=True):
        ElementTree.SubElement(size, side).text = str(value)
    # VOC has no crowds; as difficult objects they stay out of training and evaluation there too.
    for box, label, ignored in zip(example.boxes_px, example.classes, example.ignored, strict=True):
        item = ElementTree.SubElement(root, "object")
        ElementTree.SubElement(item, "name").text = labels[label]
        ElementTree.SubElement(item, "truncated").text = "0"
        ElementTree.SubElement(item, "difficult").text = str(int(ignored))
        bndbox = ElementTree.SubElement(item, "bndbox")
        for side, value in zip(("xmin", "ymin", "xmax", "ymax"), box[[1, 0, 3, 2]], strict=True):
            ElementTree.SubElement(bndbox, side).text = str(_number(value))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _yolo_lines(example: Example) -> str:
    lines = []
    for (ymin, xmin, ymax, xmax), label in zip(
        example.boxes_norm.astype(float), example.classes, strict=True
    ):
        centre = (xmin + xmax) / 2, (ymin + ymax) / 2, xmax - xmin, ymax - ymin
        lines.append(f"{label} " + " ".join(f"{value:.8f}" for value in centre) + "\n")
    return "".join(lines)


def _csv_rows(example: Example, labels: tuple[str, ...]) -> list[list[object]]:
    height, width = example.image_hw
    head: list[object] = [example.image_id, width, height]
    if not len(example.classes):
        return [head + [""] * 5]
    return [
        [*head, labels[label], _number(xmin), _number(ymin), _number(xmax), _number(ymax)]
        for (ymin, xmin, ymax, xmax), label in zip(example.boxes_px, example.classes, strict=True)
    ]
