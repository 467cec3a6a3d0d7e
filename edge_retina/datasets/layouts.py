"""The annotation formats this package reads and writes.

A new format is a module that ends with its `Layout`, and a line here.
"""

from __future__ import annotations

from edge_retina.datasets.coco import COCO
from edge_retina.datasets.csv_files import CSV
from edge_retina.datasets.layout import Layout
from edge_retina.datasets.tfrecord import TFRECORD
from edge_retina.datasets.voc import VOC
from edge_retina.datasets.yolo import YOLO

# In the order in which a directory is tried.
_ROWS = (
    VOC,
    COCO,
    YOLO,
    CSV,
    TFRECORD,
)
LAYOUTS: dict[str, Layout] = {layout.name: layout for layout in _ROWS}


def layout_hint() -> str:
    """Return what a data set may look like, for messages."""
    return ", ".join(f"{layout.title} ({layout.files})" for layout in LAYOUTS.values())


def suffix_hint() -> str:
    """Return which single files can be read, for messages."""
    return ", ".join(
        f"{' or '.join(layout.suffixes)} ({layout.title})"
        for layout in LAYOUTS.values()
        if layout.suffixes
    )
