"""Writer of Pascal VOC: one XML per image, split lists in `ImageSets/Main`."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path, PurePosixPath

from edge_retina.datasets.schema import Dataset, Example
from edge_retina.datasets.writers import copy_image, rounded, unique_examples, write_label_file
from edge_retina.files import write_text


def write_voc(dataset: Dataset, directory: Path) -> tuple[str, ...]:
    """Write `Annotations/`, `JPEGImages/`, `ImageSets/Main/` and `labels.txt` (the class order).

    VOC has no crowds. As difficult objects they are neither trained on nor counted there either.
    """
    names = _flat_names(dataset)
    examples = unique_examples(dataset)
    for example in examples:
        name = names[example.image_id]
        copy_image(example, directory / "JPEGImages" / name)
        xml = _xml(example, name, dataset.labels)
        write_text(directory / "Annotations" / PurePosixPath(name).with_suffix(".xml"), xml)
    for split, members in dataset.splits.items():
        lines = [PurePosixPath(names[example.image_id]).stem + "\n" for example in members]
        write_text(directory / "ImageSets" / "Main" / f"{split}.txt", "".join(lines))
    write_label_file(dataset, directory)
    crowds = sum(int(example.crowd.sum()) for example in examples)
    if not crowds:
        return ()
    return (f"crowd flags of {crowds} boxes: Pascal VOC has none, they are marked difficult",)


def _flat_names(dataset: Dataset) -> dict[str, str]:
    """Return a file name for each image id, without directories, no two with the same stem.

    VOC tools look for `Annotations/*.xml` and know an image by its stem.
    """
    ids = [example.image_id for example in unique_examples(dataset)]
    choices = (
        [PurePosixPath(image_id).name for image_id in ids],
        [image_id.replace("/", "_") for image_id in ids],
        [f"{number:06d}_{PurePosixPath(image_id).name}" for number, image_id in enumerate(ids, 1)],
    )
    distinct = (
        names for names in choices if len({PurePosixPath(n).stem for n in names}) == len(ids)
    )
    return dict(zip(ids, next(distinct), strict=True))


def _xml(example: Example, name: str, labels: tuple[str, ...]) -> str:
    root = ElementTree.Element("annotation")
    ElementTree.SubElement(root, "folder").text = "JPEGImages"
    ElementTree.SubElement(root, "filename").text = name
    size = ElementTree.SubElement(root, "size")
    for side, value in zip(("width", "height", "depth"), (*example.image_hw[::-1], 3), strict=True):
        ElementTree.SubElement(size, side).text = str(value)
    for box, label, ignored in zip(example.boxes_px, example.classes, example.ignored, strict=True):
        item = ElementTree.SubElement(root, "object")
        ElementTree.SubElement(item, "name").text = labels[label]
        ElementTree.SubElement(item, "truncated").text = "0"
        ElementTree.SubElement(item, "difficult").text = str(int(ignored))
        bndbox = ElementTree.SubElement(item, "bndbox")
        for side, value in zip(("xmin", "ymin", "xmax", "ymax"), box[[1, 0, 3, 2]], strict=True):
            ElementTree.SubElement(bndbox, side).text = str(rounded(value))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"
