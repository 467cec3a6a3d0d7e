"""Writer of YOLO: one text file per image, class and normalised centre box per line."""

from __future__ import annotations

from pathlib import Path

from edge_retina.datasets.schema import Dataset, Example
from edge_retina.datasets.splits import SPLITS
from edge_retina.datasets.writers import copy_image, lost_flags, unique_examples
from edge_retina.datasets.yolo_files import label_file
from edge_retina.files import write_text


def write_yolo(dataset: Dataset, directory: Path) -> tuple[str, ...]:
    """Write `images/`, `labels/`, a list of images for each split and `data.yaml`.

    Lists instead of a directory for each split, because splits may overlap (train and trainval).
    """
    import yaml  # only YOLO's data.yaml and class lists are YAML

    for example in unique_examples(dataset):
        image = directory / "images" / example.image_id
        copy_image(example, image)
        write_text(label_file(image, directory), _lines(example))
    tree: dict[str, object] = {"path": "."}
    for split in [name for name in SPLITS if name in dataset.splits]:
        lines = [f"./images/{example.image_id}\n" for example in dataset.splits[split]]
        write_text(directory / f"{split}.txt", "".join(lines))
        tree[split] = f"{split}.txt"
    tree["names"] = dict(enumerate(dataset.labels))
    write_text(directory / "data.yaml", yaml.safe_dump(tree, sort_keys=False, allow_unicode=True))
    other = [name for name in dataset.splits if name not in SPLITS]
    lost = tuple(f"split '{name}': YOLO knows only {', '.join(SPLITS)}" for name in other)
    return lost + lost_flags(dataset, "YOLO")


def _lines(example: Example) -> str:
    lines = []
    for (ymin, xmin, ymax, xmax), label in zip(
        example.boxes_norm.astype(float), example.classes, strict=True
    ):
        centre = (xmin + xmax) / 2, (ymin + ymax) / 2, xmax - xmin, ymax - ymin
        lines.append(f"{label} " + " ".join(f"{value:.8f}" for value in centre) + "\n")
    return "".join(lines)
