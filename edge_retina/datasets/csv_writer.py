"""Writer of CSV: one file per split with a header, one object per line."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from edge_retina.datasets.schema import Dataset, Example
from edge_retina.datasets.writers import copy_image, lost_flags, rounded, write_label_file
from edge_retina.files import write_text

_HEADER = ("filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax")


def write_csv(dataset: Dataset, directory: Path) -> tuple[str, ...]:
    """Write `SPLIT.csv`, `images/` and `labels.txt` (the class order)."""
    for split, examples in dataset.splits.items():
        text = io.StringIO()
        lines = csv.writer(text, lineterminator="\n")
        lines.writerow(_HEADER)
        for example in examples:
            copy_image(example, directory / "images" / example.image_id)
            lines.writerows(_rows(example, dataset.labels))
        write_text(directory / f"{split}.csv", text.getvalue())
    write_label_file(dataset, directory)
    return lost_flags(dataset, "CSV")


def _rows(example: Example, labels: tuple[str, ...]) -> list[list[object]]:
    height, width = example.image_hw
    head: list[object] = [example.image_id, width, height]
    if not len(example.classes):
        return [head + [""] * 5]
    return [
        [*head, labels[label], rounded(xmin), rounded(ymin), rounded(xmax), rounded(ymax)]
        for (ymin, xmin, ymax, xmax), label in zip(example.boxes_px, example.classes, strict=True)
    ]
