"""The objects of many images in arrays, as training sees them: ignored ones left out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_retina.datasets.example_table import ExampleTable
from edge_retina.datasets.schema import Example

# A side in pixels of the network input. Below the stride of the finest level an object has less
# than one cell of the feature map to itself.
LEARNABLE_PX = 8.0
_BLOCK = 1 << 16  # objects at a time


def boxes_at_input(examples: Sequence[Example], image_hw: tuple[int, int]) -> np.ndarray:
    """Return all boxes, (N, 4) float32 yxyx in pixels of a network input of `image_hw`."""
    table = ExampleTable.of(examples)
    kept = ~table.ignored
    boxes_px, owners = table.boxes_px[kept], table.owners[kept]
    sides = np.tile(table.image_hw.astype(np.float32), 2)
    for start in range(0, len(owners), _BLOCK):  # in place: there may be millions
        part = slice(start, start + _BLOCK)
        boxes_px[part] = boxes_px[part] / sides[owners[part]] * np.array(2 * image_hw, np.float32)
    return boxes_px


def object_classes(examples: Sequence[Example]) -> np.ndarray:
    """Return the class of each of these boxes, (N,) int32 indices into the labels."""
    table = ExampleTable.of(examples)
    return table.classes[~table.ignored]


def has_objects(examples: Sequence[Example]) -> bool:
    """Whether there is an object that is not to be ignored."""
    return not ExampleTable.of(examples).ignored.all()
