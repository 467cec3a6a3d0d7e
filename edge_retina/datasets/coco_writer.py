"""Writer of COCO: one JSON per split, images in `images/`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge_retina.datasets.coco_tree import CocoTree, coco_tree
from edge_retina.datasets.schema import Dataset, Example
from edge_retina.datasets.writers import copy_image, rounded
from edge_retina.files import write_json


def write_coco(dataset: Dataset, directory: Path) -> tuple[str, ...]:
    """Write `annotations/instances_SPLIT.json` and `images/`; nothing is lost."""
    for split, examples in dataset.splits.items():
        for example in examples:
            copy_image(example, directory / "images" / example.image_id)
        tree = rounded_tree(examples, dataset.labels)
        write_json(directory / "annotations" / f"instances_{split}.json", tree)
    return ()


def rounded_tree(examples: Sequence[Example], labels: Sequence[str]) -> CocoTree:
    """Return the tree of labelled images with coordinates as people write them."""
    tree = coco_tree(examples, labels)
    for item in tree["annotations"]:
        item["bbox"] = [rounded(side) for side in item["bbox"]]
        item["area"] = rounded(item["bbox"][2] * item["bbox"][3])
    return tree
